// Matrix times vector: PE outputs at a time, SIMD inputs a beat. The vector of a step comes PASSES times (ssmq_replay),
// IN_BEATS beats each; after each pass PE sums leave. FILE: PASSES * IN_BEATS words of PE * SIMD weights, the inputs of
// the first output in the low bits.
// Latency from the last beat of a pass 4 + $clog2(SIMD), interval of a step PASSES * IN_BEATS.
module ssmq_matvec #(
    parameter int PE = 1,
    parameter int SIMD = 1,
    parameter int IN_BEATS = 4,
    parameter int PASSES = 4,
    parameter int IN_BITS = 8,
    parameter int IN_SIGNED = 1,
    parameter int WEIGHT_BITS = 4,
    parameter int OUT_BITS = 16,
    parameter FILE = "matvec.mem",
    parameter int STYLE = 0
) (
    input  wire                    clk,
    input  wire                    rst,
    input  wire                    in_valid,
    output wire                    in_ready,
    input  wire [SIMD*IN_BITS-1:0] in_data,
    input  wire                    in_last,
    output wire                    out_valid,
    input  wire                    out_ready,
    output wire [ PE*OUT_BITS-1:0] out_data,
    output wire                    out_last
);
  localparam int WORDS = PASSES * IN_BEATS;
  localparam int BITS = IN_BITS + 1 + WEIGHT_BITS;
  wire en = ~out_valid | out_ready;
  wire there;
  wire take = in_valid & in_ready;
  assign in_ready = en & there;

  wire first_beat, final_beat;
  wire [PE*SIMD*WEIGHT_BITS-1:0] weights;
  ssmq_words #(
      .BITS (PE * SIMD * WEIGHT_BITS),
      .DEPTH(WORDS),
      .FILE (FILE)
  ) matrix (
      .next(take),
      .word(weights),
      .*
  );
  if (IN_BEATS == 1) begin : g_short
    assign {first_beat, final_beat} = 2'b11;
  end else begin : g_long
    localparam int CW = $clog2(IN_BEATS);
    wire [CW-1:0] beat;
    ssmq_counter #(
        .COUNT(IN_BEATS)
    ) pass (
        .next(take),
        .count(beat),
        .*
    );
    assign first_beat = beat == '0;
    assign final_beat = beat == CW'(IN_BEATS - 1);
  end

  // With the sums of a beat come whether it is there and where in a pass it is.
  wire first, done, summed, last;
  ssmq_flags #(
      .BITS  (4),
      .CYCLES(3 + $clog2(SIMD))
  ) flags (
      .in ({in_last, first_beat, final_beat, take}),
      .out({last, first, done, summed}),
      .*
  );
  ssmq_flags #(
      .BITS  (2),
      .CYCLES(1)
  ) result (
      .in ({last, summed & done}),
      .out({out_last, out_valid}),
      .*
  );

  for (genvar row = 0; row < PE; row++) begin : g_row
    wire [SIMD*BITS-1:0] products;
    for (genvar column = 0; column < SIMD; column++) begin : g_column
      wire [IN_BITS-1:0] code = in_data[column*IN_BITS+:IN_BITS];
      ssmq_times #(
          .A_BITS(IN_BITS + 1),
          .B_BITS(WEIGHT_BITS),
          .STYLE (STYLE)
      ) multiply (
          .a({IN_SIGNED != 0 && code[IN_BITS-1], code}),
          .b(weights[(row*SIMD+column)*WEIGHT_BITS+:WEIGHT_BITS]),
          .product(products[column*BITS+:BITS]),
          .*
      );
    end
    wire  [OUT_BITS-1:0] sum;
    logic [OUT_BITS-1:0] total;
    ssmq_tree #(
        .COUNT(SIMD),
        .IN_BITS(BITS),
        .OUT_BITS(OUT_BITS)
    ) tree (
        .terms(products),
        .sum(sum),
        .*
    );
    always_ff @(posedge clk) if (en & summed) total <= (first ? '0 : total) + sum;
    // A total stands until the next beat of sums, which does not come while the output is stalled.
    assign out_data[row*OUT_BITS+:OUT_BITS] = total;
  end
endmodule
