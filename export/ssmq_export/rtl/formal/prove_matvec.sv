// One lane each way: a pass of IN_BEATS codes gives the sum of weight times code, which fits into OUT_BITS, signed if
// OUT_SIGNED. Weights lie in memory.mem.
module prove_matvec #(
    parameter int SIMD = 1,
    parameter int IN_BEATS = 2,
    parameter int PASSES = 2,
    parameter int IN_BITS = 2,
    parameter int IN_SIGNED = 1,
    parameter int WEIGHT_BITS = 2,
    parameter int OUT_BITS = 5,
    parameter int OUT_SIGNED = 1,
    parameter int STYLE = 0
) (
    input wire                    clk,
    input wire                    rst,
    input wire                    in_valid,
    input wire [SIMD*IN_BITS-1:0] in_data,
    input wire                    in_last,
    input wire                    out_ready
);
  localparam int LATENCY = 4 + $clog2(SIMD);
  localparam int WORDS = PASSES * IN_BEATS;
  localparam int WIDE = OUT_BITS + 1;
  wire in_ready, out_valid, out_last;
  wire [OUT_BITS-1:0] out_data;
  ssmq_matvec #(.PE(1), .SIMD(SIMD), .IN_BEATS(IN_BEATS), .PASSES(PASSES), .IN_BITS(IN_BITS), .IN_SIGNED(IN_SIGNED),
      .WEIGHT_BITS(WEIGHT_BITS), .OUT_BITS(OUT_BITS), .FILE("memory.mem"), .STYLE(STYLE)) dut (.*);

  logic [SIMD*WEIGHT_BITS-1:0] memory[0:WORDS-1];
  initial $readmemh("memory.mem", memory);
  logic [7:0] beat, pass;
  logic signed [WIDE-1:0] sum;
  wire take = in_valid & in_ready;
  wire full = beat == IN_BEATS - 1;
  wire [SIMD*WEIGHT_BITS-1:0] word = memory[pass*IN_BEATS+beat];
  wire [(SIMD+1)*WIDE-1:0] sums;
  assign sums[WIDE-1:0] = beat == 0 ? 0 : sum;
  for (genvar i = 0; i < SIMD; i++) begin : g_term
    wire signed [WIDE-1:0] x, w;
    formal_integer #(.BITS(IN_BITS), .SIGNED(IN_SIGNED), .WIDE(WIDE)) of_code (.code(in_data[i*IN_BITS+:IN_BITS]), .value(x));
    formal_integer #(.BITS(WEIGHT_BITS), .WIDE(WIDE)) of_weight (.code(word[i*WEIGHT_BITS+:WEIGHT_BITS]), .value(w));
    assign sums[(i+1)*WIDE+:WIDE] = sums[i*WIDE+:WIDE] + w * x;
  end
  wire signed [WIDE-1:0] exact = sums[SIMD*WIDE+:WIDE];
  always_ff @(posedge clk) begin
    if (take) sum <= exact;
    if (rst) {beat, pass} <= 0;
    else if (take) begin
      beat <= full ? 0 : beat + 1;
      if (full) pass <= pass == PASSES - 1 ? 0 : pass + 1;
    end
  end

  formal_reset resets (.*);
  formal_writer #(.BITS(SIMD * IN_BITS), .BEATS(WORDS), .PATIENCE(2)) writer (
      .valid(in_valid), .ready(in_ready), .data(in_data), .last(in_last), .fair(out_ready), .*);
  formal_rules #(.BITS(OUT_BITS)) rules (.valid(out_valid), .ready(out_ready), .data(out_data), .last(out_last), .*);
  formal_fits #(.BITS(OUT_BITS), .SIGNED(OUT_SIGNED), .WIDE(WIDE)) fits (.valid(take & full & ~rst), .value(exact));
  formal_owed #(.BITS(OUT_BITS + 1), .ROOM(LATENCY / IN_BEATS + 1), .PATIENCE(LATENCY - 1)) owed (
      .push(take & full), .pushed({in_last, exact[OUT_BITS-1:0]}),
      .valid(out_valid), .ready(out_ready), .data({out_last, out_data}), .offered(out_valid), .owed(), .count(), .*);
endmodule
