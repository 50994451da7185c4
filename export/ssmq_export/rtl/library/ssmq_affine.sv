// factor * x + term, channel by channel; with ROUND = 1 its quotient by 2**SHIFT, nearest, ties to even, clipped to
// LOW .. HIGH. This is every scale, offset, alignment and requantiser.
// Numbers that channels have in COMMON are parameters; others lie in FILE, a word {term, factor} a lane, BEATS words.
// FACTOR_BITS 0: every factor in the file is 1 and left out; POWERS: they are powers of two, and their exponents are there.
// With ROUND, terms include 2**(SHIFT - 1).
// Latency 1, 3 more with factors in a file (1 of POWERS), 2 more to ROUND. Interval 1.
module ssmq_affine #(
    parameter int LANES = 1,
    parameter int BEATS = 4,
    parameter int IN_BITS = 8,
    parameter int IN_SIGNED = 1,
    parameter int OUT_BITS = 8,
    parameter int SUM_BITS = 16,
    parameter int COMMON = 0,
    parameter int FACTOR = 1,
    parameter int TERM = 0,
    parameter int FACTOR_BITS = 0,
    parameter int POWERS = 0,
    parameter int TERM_BITS = 8,
    parameter FILE = "affine.mem",
    parameter int STYLE = 0,
    parameter int ROUND = 0,
    parameter int SHIFT = 0,
    parameter int LOW = 0,
    parameter int HIGH = 1
) (
    input  wire                       clk,
    input  wire                       rst,
    input  wire                       in_valid,
    output wire                       in_ready,
    input  wire  [ LANES*IN_BITS-1:0] in_data,
    input  wire                       in_last,
    output wire                       out_valid,
    input  wire                       out_ready,
    output wire  [LANES*OUT_BITS-1:0] out_data,
    output wire                       out_last
);
  localparam int PRODUCT_LATENCY = COMMON != 0 || FACTOR_BITS == 0 ? 0 : POWERS != 0 ? 1 : 3;
  localparam int SB = ROUND != 0 ? SUM_BITS : OUT_BITS;
  localparam int WORD = FACTOR_BITS + TERM_BITS;
  wire en = ~out_valid | out_ready;
  wire there;
  wire take = in_valid & in_ready;
  assign in_ready = en & there;

  ssmq_flags #(
      .BITS(2),
      .CYCLES(PRODUCT_LATENCY + (ROUND != 0 ? 3 : 1))
  ) flags (
      .in ({in_last, take}),
      .out({out_last, out_valid}),
      .*
  );

  wire [LANES*WORD-1:0] words;
  if (COMMON != 0) begin : g_common
    assign {there, words} = {1'b1, {LANES * WORD{1'b0}}};
  end else begin : g_words
    ssmq_words #(
        .BITS (LANES * WORD),
        .DEPTH(BEATS),
        .FILE (FILE)
    ) numbers (
        .next(take),
        .word(words),
        .*
    );
  end

  for (genvar lane = 0; lane < LANES; lane++) begin : g_lane
    wire [IN_BITS-1:0] code = in_data[lane*IN_BITS+:IN_BITS];
    wire signed [IN_BITS:0] x = {IN_SIGNED != 0 && code[IN_BITS-1], code};
    wire [WORD-1:0] word = words[lane*WORD+:WORD];
    wire unused_bits = &{1'b0, x, word};
    logic [SB-1:0] sum;

    if (COMMON != 0) begin : g_common
      localparam logic [SB-1:0] ALL = SB'(FACTOR);
      localparam logic [SB-1:0] MORE = SB'(TERM);
      always_ff @(posedge clk) if (en) sum <= SB'(x) * ALL + MORE;
    end else if (FACTOR_BITS == 0) begin : g_term
      wire signed [TERM_BITS-1:0] term = word;
      always_ff @(posedge clk) if (en) sum <= SB'(x) + SB'(term);
    end else if (POWERS != 0) begin : g_power
      logic [SB-1:0] moved;
      logic signed [TERM_BITS-1:0] term;
      always_ff @(posedge clk)
        if (en) begin
          moved <= SB'(x) << word[FACTOR_BITS-1:0];
          term <= word[WORD-1:FACTOR_BITS];
          sum <= moved + SB'(term);
        end
    end else begin : g_factor
      // A sign of its own has room for no more than an unsigned code, which may be what fits into a multiplier.
      localparam int XB = IN_BITS + (IN_SIGNED != 0 ? 0 : 1);
      wire signed [XB+FACTOR_BITS-1:0] scaled;
      wire unused_product = &{1'b0, scaled};
      wire signed [TERM_BITS-1:0] term;
      ssmq_times #(
          .A_BITS(XB),
          .B_BITS(FACTOR_BITS),
          .STYLE (STYLE)
      ) scale (
          .a(x[XB-1:0]),
          .b(word[FACTOR_BITS-1:0]),
          .product(scaled),
          .*
      );
      ssmq_delay #(
          .BITS  (TERM_BITS),
          .CYCLES(PRODUCT_LATENCY)
      ) wait_product (
          .in (word[WORD-1:FACTOR_BITS]),
          .out(term),
          .*
      );
      always_ff @(posedge clk) if (en) sum <= SB'(scaled) + SB'(term);
    end

    if (ROUND != 0) begin : g_round
      ssmq_round #(
          .IN_BITS(SB),
          .SHIFT(SHIFT),
          .OUT_BITS(OUT_BITS),
          .LOW(LOW),
          .HIGH(HIGH)
      ) rounder (
          .biased(sum),
          .out(out_data[lane*OUT_BITS+:OUT_BITS]),
          .*
      );
    end else begin : g_exact
      assign out_data[lane*OUT_BITS+:OUT_BITS] = sum;
    end
  end
endmodule
