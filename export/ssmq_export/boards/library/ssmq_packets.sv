// A queue of bytes that shows a packet only after it is kept, and forgets it if it is dropped. DEPTH is a power of two.
// ``lost``: since the last packet ended, a byte has found the queue full.
module ssmq_packets #(
    parameter int DEPTH = 2048
) (
    input  wire        clk,
    input  wire        rst,
    input  wire        push,
    input  wire  [7:0] push_data,
    input  wire        keep,
    input  wire        drop,
    output logic       lost,
    output logic       out_valid,
    input  wire        out_ready,
    output logic [7:0] out_data
);
  localparam int AW = $clog2(DEPTH);
  logic [7:0] memory[0:DEPTH-1];
  // One bit more than an address: equal pointers are an empty queue, DEPTH apart they are a full one.
  logic [AW:0] place, kept, read;
  wire full = place == {~read[AW], read[AW-1:0]};
  wire pull = (~out_valid | out_ready) & (kept != read);

  always_ff @(posedge clk) if (push & ~full) memory[place[AW-1:0]] <= push_data;

  always_ff @(posedge clk) if (pull) out_data <= memory[read[AW-1:0]];

  always_ff @(posedge clk)
    if (rst) begin
      place <= '0;
      kept <= '0;
      read <= '0;
      lost <= 1'b0;
      out_valid <= 1'b0;
    end else begin
      if (drop) place <= kept;
      else if (push & ~full) place <= place + 1'b1;
      if (keep) kept <= place;
      if (keep | drop) lost <= 1'b0;
      else if (push & full) lost <= 1'b1;
      if (pull) read <= read + 1'b1;
      if (~out_valid | out_ready) out_valid <= pull;
    end
endmodule
