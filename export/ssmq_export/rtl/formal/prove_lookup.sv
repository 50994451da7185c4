// A table, or with SEARCH a level of a search, of BEATS channels or one in COMMON; words lie in memory.mem.
module prove_lookup #(
    parameter int SEARCH = 0,
    parameter int BEATS = 2,
    parameter int CODE_BITS = 2,
    parameter int CODE_SIGNED = 1,
    parameter int KNOWN = 0,
    parameter int FINAL = 0,
    parameter int COMMON = 0,
    parameter int WORD_BITS = 3
) (
    input wire                       clk,
    input wire                       rst,
    input wire                       in_valid,
    input wire [KNOWN+CODE_BITS-1:0] in_data,
    input wire                       in_last,
    input wire                       out_ready
);
  localparam int IN_BITS = KNOWN + CODE_BITS;
  localparam int OUT_BITS = SEARCH == 0 ? WORD_BITS : FINAL != 0 ? KNOWN + 1 : KNOWN + 1 + CODE_BITS;
  localparam int LATENCY = SEARCH != 0 ? 3 : 2;
  localparam int EACH = SEARCH != 0 ? 1 << KNOWN : 1 << CODE_BITS;
  wire in_ready, out_valid, out_last;
  wire [OUT_BITS-1:0] out_data, expected;
  logic [WORD_BITS-1:0] memory[0:(COMMON != 0 ? 1 : BEATS)*EACH-1];
  initial $readmemh("memory.mem", memory);

  logic [7:0] beat;
  wire take = in_valid & in_ready;
  wire [7:0] channel = COMMON != 0 ? 0 : beat;
  always_ff @(posedge clk)
    if (rst) beat <= 0;
    else if (take) beat <= beat == BEATS - 1 ? 0 : beat + 1;

  if (SEARCH != 0) begin : g_search
    ssmq_search #(.LANES(1), .BEATS(BEATS), .CODE_BITS(CODE_BITS), .CODE_SIGNED(CODE_SIGNED), .KNOWN(KNOWN), .FINAL(FINAL),
        .COMMON(COMMON), .THRESHOLD_BITS(WORD_BITS), .FILE("memory.mem")) dut (.*);
    wire signed [15:0] code, threshold;
    wire [7:0] index = in_data >> CODE_BITS;
    wire [WORD_BITS-1:0] word = memory[channel*EACH+index];
    wire [7:0] found = 2 * index + (code >= threshold ? 1 : 0);
    formal_integer #(.BITS(CODE_BITS), .SIGNED(CODE_SIGNED)) of_code (.code(in_data[CODE_BITS-1:0]), .value(code));
    formal_integer #(.BITS(WORD_BITS)) of_word (.code(word), .value(threshold));
    assign expected = FINAL != 0 ? found : {found, in_data[CODE_BITS-1:0]};
  end else begin : g_table
    ssmq_table #(.LANES(1), .BEATS(BEATS), .IN_BITS(CODE_BITS), .OUT_BITS(WORD_BITS), .COMMON(COMMON),
        .FILE("memory.mem")) dut (.*);
    assign expected = memory[channel*EACH+in_data];
  end

  formal_reset resets (.*);
  formal_writer #(.BITS(IN_BITS), .PATIENCE(0)) writer (
      .valid(in_valid), .ready(in_ready), .data(in_data), .last(in_last), .fair(out_ready), .*);
  formal_rules #(.BITS(OUT_BITS)) rules (.valid(out_valid), .ready(out_ready), .data(out_data), .last(out_last), .*);
  formal_owed #(.BITS(OUT_BITS + 1), .ROOM(LATENCY), .PATIENCE(LATENCY - 1)) owed (
      .push(take), .pushed({in_last, expected}),
      .valid(out_valid), .ready(out_ready), .data({out_last, out_data}), .offered(out_valid), .owed(), .count(), .*);
endmodule
