// A packet {tag, codes} as a sequence: CODES codes of BITS bits, packed low bits first, what is left of the last byte unused.
// A bit a cycle. The next packet is begun after ``next``, when the sequence has its answer.
module ssmq_unpack #(
    parameter int BITS = 8,
    parameter int CODES = 784,
    parameter int CHANNELS = 1
) (
    input  wire             clk,
    input  wire             rst,
    input  wire             in_valid,
    output wire             in_ready,
    input  wire  [     7:0] in_data,
    output wire             out_valid,
    input  wire             out_ready,
    output logic [BITS-1:0] out_data,
    output wire             out_last,
    output logic [     7:0] tag,
    input  wire             next
);
  localparam int CW = $clog2(CODES + 1);
  localparam int BW = $clog2(BITS + 1);
  // A packet is open from its tag until its answer.
  logic open;
  logic [7:0] bits;
  logic [3:0] left;
  logic [BW-1:0] have;
  logic [CW-1:0] count;
  wire over = count == CW'(CODES);
  wire shift = (left != '0) & ~out_valid & ~over;
  wire take = in_valid & in_ready;

  // While a code waits it may be the last, and what follows the next packet's.
  assign in_ready  = ~open | (~over & ~out_valid & left == '0);
  assign out_valid = have == BW'(BITS);
  assign out_last  = count >= CW'(CODES - CHANNELS);

  always_ff @(posedge clk) if (take & ~open) tag <= in_data;

  always_ff @(posedge clk)
    if (take) bits <= in_data;
    else if (shift) bits <= bits >> 1;

  if (BITS > 1) begin : g_bits
    always_ff @(posedge clk) if (shift) out_data <= {bits[0], out_data[BITS-1:1]};
  end else begin : g_bit
    always_ff @(posedge clk) if (shift) out_data <= bits[0];
  end

  always_ff @(posedge clk)
    if (rst | next) begin
      open  <= 1'b0;
      left  <= '0;
      have  <= '0;
      count <= '0;
    end else begin
      if (take) open <= 1'b1;
      if (take & open) left <= 4'd8;
      else if (shift) left <= left - 1'b1;
      if (shift) have <= have + 1'b1;
      if (out_valid & out_ready) begin
        have  <= '0;
        count <= count + 1'b1;
      end
    end
endmodule
