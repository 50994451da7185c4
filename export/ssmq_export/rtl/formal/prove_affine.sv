// factor * x + term of numbers in COMMON, or of those of BEATS channels in memory.mem, and with ROUND the requantiser.
// The sum fits into SUM_BITS, a result that is not clipped into OUT_BITS, signed if OUT_SIGNED.
module prove_affine #(
    parameter int BEATS = 2,
    parameter int IN_BITS = 3,
    parameter int IN_SIGNED = 1,
    parameter int OUT_BITS = 3,
    parameter int OUT_SIGNED = 1,
    // From here on the module's own defaults, for what the generator leaves out.
    parameter int SUM_BITS = 16,
    parameter int COMMON = 0,
    parameter int FACTOR = 1,
    parameter int TERM = 0,
    parameter int FACTOR_BITS = 0,
    parameter int POWERS = 0,
    parameter int TERM_BITS = 8,
    parameter int STYLE = 0,
    parameter int ROUND = 0,
    parameter int SHIFT = 0,
    parameter int LOW = 0,
    parameter int HIGH = 1
) (
    input wire               clk,
    input wire               rst,
    input wire               in_valid,
    input wire [IN_BITS-1:0] in_data,
    input wire               in_last,
    input wire               out_ready
);
  localparam int LATENCY = (COMMON != 0 || FACTOR_BITS == 0 ? 1 : POWERS != 0 ? 2 : 4) + (ROUND != 0 ? 2 : 0);
  wire in_ready, out_valid, out_last;
  wire [OUT_BITS-1:0] out_data;
  ssmq_affine #(.LANES(1), .BEATS(BEATS), .IN_BITS(IN_BITS), .IN_SIGNED(IN_SIGNED), .OUT_BITS(OUT_BITS),
      .SUM_BITS(SUM_BITS), .COMMON(COMMON), .FACTOR(FACTOR), .TERM(TERM), .FACTOR_BITS(FACTOR_BITS), .POWERS(POWERS), .TERM_BITS(TERM_BITS),
      .FILE("memory.mem"), .STYLE(STYLE), .ROUND(ROUND), .SHIFT(SHIFT), .LOW(LOW), .HIGH(HIGH)) dut (.*);

  logic [7:0] beat;
  wire take = in_valid & in_ready;
  always_ff @(posedge clk)
    if (rst) beat <= 0;
    else if (take) beat <= beat == BEATS - 1 ? 0 : beat + 1;

  wire signed [31:0] x, factor, term, exact, clipped, value;
  formal_integer #(.BITS(IN_BITS), .SIGNED(IN_SIGNED), .WIDE(32)) of_code (.code(in_data), .value(x));
  if (COMMON != 0) begin : g_common
    assign {factor, term} = {FACTOR, TERM};
  end else begin : g_memory
    logic [FACTOR_BITS+TERM_BITS-1:0] memory[0:BEATS-1];
    initial $readmemh("memory.mem", memory);
    wire [FACTOR_BITS+TERM_BITS-1:0] word = memory[beat];
    formal_integer #(.BITS(TERM_BITS), .WIDE(32)) of_term (.code(word[FACTOR_BITS+:TERM_BITS]), .value(term));
    if (FACTOR_BITS == 0) begin : g_one
      assign factor = 1;
    end else if (POWERS != 0) begin : g_power
      assign factor = 1 << word[FACTOR_BITS-1:0];
    end else begin : g_factor
      formal_integer #(.BITS(FACTOR_BITS), .WIDE(32)) of_factor (.code(word[FACTOR_BITS-1:0]), .value(factor));
    end
  end
  assign exact = factor * x + term;
  formal_nearest #(.SHIFT(SHIFT), .LOW(LOW), .HIGH(HIGH)) nearest (.value(exact - (1 << SHIFT) / 2), .*);
  assign value = ROUND != 0 ? clipped : exact;
  if (ROUND != 0) begin : g_sum
    formal_fits #(.BITS(SUM_BITS), .WIDE(32)) fits (.valid(take & ~rst), .value(exact));
  end

  formal_reset resets (.*);
  formal_writer #(.BITS(IN_BITS), .PATIENCE(2)) writer (
      .valid(in_valid), .ready(in_ready), .data(in_data), .last(in_last), .fair(out_ready), .*);
  formal_rules #(.BITS(OUT_BITS)) rules (.valid(out_valid), .ready(out_ready), .data(out_data), .last(out_last), .*);
  formal_fits #(.BITS(OUT_BITS), .SIGNED(OUT_SIGNED), .WIDE(32)) fits (.valid(take & ~rst), .*);
  formal_owed #(.BITS(OUT_BITS + 1), .ROOM(LATENCY), .PATIENCE(LATENCY - 1)) owed (
      .push(take), .pushed({in_last, value[OUT_BITS-1:0]}),
      .valid(out_valid), .ready(out_ready), .data({out_last, out_data}), .offered(out_valid), .owed(), .count(), .*);
endmodule
