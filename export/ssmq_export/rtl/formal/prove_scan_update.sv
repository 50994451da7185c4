// The new state of a mode for every state and input and each of the WORDS words of memory.mem, {b_im, b_re, a_im, a_re};
// its sums fit into SUM_BITS.
module prove_scan_update #(
    parameter int WORDS = 2,
    parameter int STATE_BITS = 2,
    parameter int IN_BITS = 2,
    parameter int IN_SIGNED = 1,
    parameter int A_BITS = 3,
    parameter int B_BITS = 2,
    parameter int B_BASE = 0,
    parameter int B_RE_KIND = 1,
    parameter int B_IM_KIND = 0,
    parameter int SUM_BITS = 6,
    parameter int SHIFT = 2,
    parameter int STYLE = 0
) (
    input wire                  clk,
    input wire [STATE_BITS-1:0] x_re,
    input wire [STATE_BITS-1:0] x_im,
    input wire [   IN_BITS-1:0] code,
    input wire [           7:0] place
);
  localparam int LOW = -(1 << (STATE_BITS - 1));
  localparam int HALF = (1 << SHIFT) / 2;
  logic [2*(A_BITS+B_BITS)-1:0] memory[0:WORDS-1];
  initial $readmemh("memory.mem", memory);
  always_comb assume (place < WORDS);
  wire [A_BITS-1:0] a_re, a_im;
  wire [B_BITS-1:0] b_re, b_im;
  assign {b_im, b_re, a_im, a_re} = memory[place];
  wire [STATE_BITS-1:0] next_re, next_im;
  ssmq_scan_update #(.STATE_BITS(STATE_BITS), .U_BITS(IN_BITS + 1), .A_BITS(A_BITS), .B_BITS(B_BITS), .B_BASE(B_BASE),
      .B_RE_KIND(B_RE_KIND), .B_IM_KIND(B_IM_KIND), .SUM_BITS(SUM_BITS), .SHIFT(SHIFT), .STYLE(STYLE)) dut (
      .u({IN_SIGNED != 0 && code[IN_BITS-1], code}), .*);

  wire signed [31:0] u, ar, ai, xr, xi, br, bi, clipped_re, clipped_im;
  formal_integer #(.BITS(IN_BITS), .SIGNED(IN_SIGNED), .WIDE(32)) of_u (.code(code), .value(u));
  formal_integer #(.BITS(A_BITS), .WIDE(32)) of_ar (.code(a_re), .value(ar)), of_ai (.code(a_im), .value(ai));
  formal_integer #(.BITS(STATE_BITS), .WIDE(32)) of_xr (.code(x_re), .value(xr)), of_xi (.code(x_im), .value(xi));
  formal_drive #(.BITS(B_BITS), .BASE(B_BASE), .KIND(B_RE_KIND)) of_br (.code(b_re), .value(br));
  formal_drive #(.BITS(B_BITS), .BASE(B_BASE), .KIND(B_IM_KIND)) of_bi (.code(b_im), .value(bi));
  wire signed [31:0] sum_re = ar * xr - ai * xi + br * u;
  wire signed [31:0] sum_im = ar * xi + ai * xr + bi * u;
  formal_fits #(.BITS(SUM_BITS), .WIDE(32)) fits_re (.valid(1'b1), .value(sum_re + HALF));
  formal_fits #(.BITS(SUM_BITS), .WIDE(32)) fits_im (.valid(1'b1), .value(sum_im + HALF));
  formal_nearest #(.SHIFT(SHIFT), .LOW(LOW), .HIGH(-LOW - 1)) nearest_re (.value(sum_re), .clipped(clipped_re));
  formal_nearest #(.SHIFT(SHIFT), .LOW(LOW), .HIGH(-LOW - 1)) nearest_im (.value(sum_im), .clipped(clipped_im));
  formal_later #(.BITS(2 * STATE_BITS), .CYCLES(7)) later (
      .en(1'b1), .expected({clipped_re[STATE_BITS-1:0], clipped_im[STATE_BITS-1:0]}), .found({next_re, next_im}), .*);
endmodule
