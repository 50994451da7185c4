// A queue of DEPTH beats (a power of two), one more in its output register. After reset it holds START beats of any content.
// A word is read in READ cycles: 1, or 2 where it lies in a block RAM, whose output register holds one beat more.
// Latency 1 + READ, interval 1.
module ssmq_fifo #(
    parameter int BITS  = 8,
    parameter int DEPTH = 4,
    parameter int START = 0,
    parameter int READ  = 1
) (
    input  wire             clk,
    input  wire             rst,
    input  wire             in_valid,
    output wire             in_ready,
    input  wire  [BITS-1:0] in_data,
    input  wire             in_last,
    output logic            out_valid,
    input  wire             out_ready,
    output logic [BITS-1:0] out_data,
    output logic            out_last
);
  localparam int AW = $clog2(DEPTH);
  logic [BITS:0] memory[0:DEPTH-1];
  // One bit more than an address: equal pointers are an empty queue, DEPTH apart they are a full one.
  logic [AW:0] written, read;
  wire push = in_valid & in_ready;
  // ``ahead``: what the output register takes is there.
  wire pull, ahead;

  assign in_ready = written != {~read[AW], read[AW-1:0]};

  always_ff @(posedge clk) if (push) memory[written[AW-1:0]] <= {in_last, in_data};

  if (READ == 1) begin : g_once
    assign pull  = (~out_valid | out_ready) & (written != read);
    assign ahead = pull;
    always_ff @(posedge clk) if (pull) {out_last, out_data} <= memory[read[AW-1:0]];
  end else begin : g_twice
    logic found;
    logic [BITS:0] word;
    assign pull  = (~found | ~out_valid | out_ready) & (written != read);
    assign ahead = found;
    always_ff @(posedge clk) if (pull) word <= memory[read[AW-1:0]];
    always_ff @(posedge clk) if (~out_valid | out_ready) {out_last, out_data} <= word;
    always_ff @(posedge clk)
      if (rst) found <= 1'b0;
      else if (~found | ~out_valid | out_ready) found <= pull;
  end

  always_ff @(posedge clk)
    if (rst) begin
      written   <= (AW + 1)'(START);
      read      <= '0;
      out_valid <= 1'b0;
    end else begin
      if (push) written <= written + 1'b1;
      if (pull) read <= read + 1'b1;
      if (~out_valid | out_ready) out_valid <= ahead;
    end
endmodule
