// One beat of TIMES * BITS becomes TIMES of BITS, the low bits first.
// Latency 1 to the first of them, interval TIMES.
module ssmq_narrow #(
    parameter int BITS  = 8,
    parameter int TIMES = 2
) (
    input  wire                   clk,
    input  wire                   rst,
    input  wire                   in_valid,
    output wire                   in_ready,
    input  wire  [TIMES*BITS-1:0] in_data,
    input  wire                   in_last,
    output logic                  out_valid,
    input  wire                   out_ready,
    output wire  [      BITS-1:0] out_data,
    output logic                  out_last
);
  localparam int CW = $clog2(TIMES);
  logic [CW-1:0] count;
  logic [TIMES*BITS-1:0] word;
  wire final_part = count == CW'(TIMES - 1);

  assign in_ready = ~out_valid | (out_ready & final_part);
  assign out_data = word[BITS-1:0];

  always_ff @(posedge clk)
    if (in_valid & in_ready) {out_last, word} <= {in_last, in_data};
    else if (out_ready) word <= word >> BITS;

  always_ff @(posedge clk)
    if (rst) begin
      count <= '0;
      out_valid <= 1'b0;
    end else begin
      if (out_valid & out_ready) count <= final_part ? '0 : count + 1'b1;
      if (in_ready) out_valid <= in_valid;
    end
endmodule
