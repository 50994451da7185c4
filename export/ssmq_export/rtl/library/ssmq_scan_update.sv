// One lane of a scan: x = saturate(round_half_even((a x + b u) / 2**SHIFT)), complex.
// The state comes in cycle 2 of a mode with its numbers, ``u`` too; the new state is there in cycle 9.
// B_*_KIND: 0 b is 0, 1 b = 2**(B_BASE + k) and {used, k} is stored, 2 a product.
module ssmq_scan_update #(
    parameter int STATE_BITS = 8,
    parameter int U_BITS = 7,
    parameter int A_BITS = 12,
    parameter int B_BITS = 4,
    parameter int B_BASE = 0,
    parameter int B_RE_KIND = 1,
    parameter int B_IM_KIND = 0,
    parameter int SUM_BITS = 22,
    parameter int SHIFT = 11,
    parameter int STYLE = 0
) (
    input  wire                           clk,
    input  wire         [STATE_BITS-1:0]  x_re,
    input  wire         [STATE_BITS-1:0]  x_im,
    input  wire         [    A_BITS-1:0]  a_re,
    input  wire         [    A_BITS-1:0]  a_im,
    input  wire         [    B_BITS-1:0]  b_re,
    input  wire         [    B_BITS-1:0]  b_im,
    input  wire         [    U_BITS-1:0]  u,
    output wire         [STATE_BITS-1:0]  next_re,
    output wire         [STATE_BITS-1:0]  next_im
);
  localparam int PB = A_BITS + STATE_BITS;
  // A sum may be narrower than what a product could be at most.
  wire signed [PB-1:0] re_re, im_im, re_im, im_re;
  wire unused_high = &{1'b0, re_re, im_im, re_im, im_re};
  wire [SUM_BITS-1:0] drive_re, drive_im;
  logic [SUM_BITS-1:0] turned_re, turned_im, sum_re, sum_im;

  ssmq_multiply #(.A_BITS(A_BITS), .B_BITS(STATE_BITS), .STYLE(STYLE))
      p_re_re (.en(1'b1), .a(a_re), .b(x_re), .product(re_re), .*),
      p_im_im (.en(1'b1), .a(a_im), .b(x_im), .product(im_im), .*),
      p_re_im (.en(1'b1), .a(a_re), .b(x_im), .product(re_im), .*),
      p_im_re (.en(1'b1), .a(a_im), .b(x_re), .product(im_re), .*);
  ssmq_scan_drive #(
      .KIND(B_RE_KIND), .U_BITS(U_BITS), .B_BITS(B_BITS), .B_BASE(B_BASE), .OUT_BITS(SUM_BITS), .SHIFT(SHIFT), .STYLE(STYLE)
  ) real_part (.b(b_re), .drive(drive_re), .*);
  ssmq_scan_drive #(
      .KIND(B_IM_KIND), .U_BITS(U_BITS), .B_BITS(B_BITS), .B_BASE(B_BASE), .OUT_BITS(SUM_BITS), .SHIFT(SHIFT), .STYLE(STYLE)
  ) imaginary_part (.b(b_im), .drive(drive_im), .*);

  always_ff @(posedge clk) begin
    turned_re <= SUM_BITS'(re_re) - SUM_BITS'(im_im);
    turned_im <= SUM_BITS'(re_im) + SUM_BITS'(im_re);
    sum_re <= turned_re + drive_re;
    sum_im <= turned_im + drive_im;
  end
  localparam int HIGHEST = (1 << (STATE_BITS - 1)) - 1;
  ssmq_round #(.IN_BITS(SUM_BITS), .SHIFT(SHIFT), .OUT_BITS(STATE_BITS), .LOW(-HIGHEST - 1), .HIGH(HIGHEST))
      round_re (.en(1'b1), .biased(sum_re), .out(next_re), .*),
      round_im (.en(1'b1), .biased(sum_im), .out(next_im), .*);
endmodule
