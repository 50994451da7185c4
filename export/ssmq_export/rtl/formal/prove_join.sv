// Two streams element by element: the gate product, or the sum or difference on a common grid. What they give fits into
// OUT_BITS, signed if OUT_SIGNED.
module prove_join #(
    parameter int PRODUCT = 0,
    parameter int A_BITS = 2,
    parameter int A_SIGNED = 1,
    parameter int A_SHIFT = 0,
    parameter int B_BITS = 2,
    parameter int B_SIGNED = 1,
    parameter int B_SHIFT = 0,
    parameter int SUBTRACT = 0,
    parameter int OUT_BITS = 4,
    parameter int OUT_SIGNED = 1,
    parameter int STYLE = 0
) (
    input wire              clk,
    input wire              rst,
    input wire              a_valid,
    input wire [A_BITS-1:0] a_data,
    input wire              a_last,
    input wire              b_valid,
    input wire [B_BITS-1:0] b_data,
    input wire              b_last,
    input wire              out_ready
);
  localparam int LATENCY = PRODUCT == 0 ? 1 : 3;
  wire a_ready, b_ready, out_valid, out_last;
  wire [OUT_BITS-1:0] out_data;
  wire signed [15:0] x, y, exact;
  formal_integer #(.BITS(A_BITS), .SIGNED(A_SIGNED)) of_a (.code(a_data), .value(x));
  formal_integer #(.BITS(B_BITS), .SIGNED(B_SIGNED)) of_b (.code(b_data), .value(y));

  if (PRODUCT != 0) begin : g_product
    ssmq_product #(.A_BITS(A_BITS), .A_SIGNED(A_SIGNED), .B_BITS(B_BITS), .B_SIGNED(B_SIGNED), .OUT_BITS(OUT_BITS),
        .STYLE(STYLE)) dut (.*);
    assign exact = x * y;
  end else begin : g_sum
    ssmq_sum #(.A_BITS(A_BITS), .A_SIGNED(A_SIGNED), .A_SHIFT(A_SHIFT), .B_BITS(B_BITS), .B_SIGNED(B_SIGNED),
        .B_SHIFT(B_SHIFT), .SUBTRACT(SUBTRACT), .OUT_BITS(OUT_BITS)) dut (.*);
    assign exact = SUBTRACT != 0 ? (x <<< A_SHIFT) - (y <<< B_SHIFT) : (x <<< A_SHIFT) + (y <<< B_SHIFT);
  end

  wire both = a_valid & b_valid & a_ready;
  always_comb
    if (~rst) begin
      assert_together : assert ((a_valid & a_ready) == (b_valid & b_ready));
      // Two streams of one sequence.
      if (a_valid & b_valid) assume (a_last == b_last);
    end

  formal_reset resets (.*);
  formal_writer #(.BITS(A_BITS), .PATIENCE(0)) writer_a (
      .valid(a_valid), .ready(a_ready), .data(a_data), .last(a_last), .fair(out_ready & b_valid), .*);
  formal_writer #(.BITS(B_BITS), .PATIENCE(0)) writer_b (
      .valid(b_valid), .ready(b_ready), .data(b_data), .last(b_last), .fair(out_ready & a_valid), .*);
  formal_rules #(.BITS(OUT_BITS)) rules (.valid(out_valid), .ready(out_ready), .data(out_data), .last(out_last), .*);
  formal_fits #(.BITS(OUT_BITS), .SIGNED(OUT_SIGNED)) fits (.valid(both & ~rst), .value(exact));
  formal_owed #(.BITS(OUT_BITS + 1), .ROOM(LATENCY), .PATIENCE(LATENCY - 1)) owed (
      .push(both), .pushed({a_last, exact[OUT_BITS-1:0]}),
      .valid(out_valid), .ready(out_ready), .data({out_last, out_data}), .offered(out_valid), .owed(), .count(), .*);
endmodule
