// The BEATS beats of a step, PASSES times over. The first pass does not wait for all of them, and the last one makes
// room for the next step beat by beat, so that nothing is lost between steps.
// DEPTH: a power of two, more than BEATS. Latency 2, interval of a step BEATS * PASSES.
module ssmq_replay #(
    parameter int BITS   = 8,
    parameter int BEATS  = 4,
    parameter int PASSES = 2,
    parameter int DEPTH  = 8
) (
    input  wire             clk,
    input  wire             rst,
    input  wire             in_valid,
    output wire             in_ready,
    input  wire  [BITS-1:0] in_data,
    input  wire             in_last,
    output logic            out_valid,
    input  wire             out_ready,
    output logic [BITS-1:0] out_data,
    output logic            out_last
);
  localparam int AW = $clog2(DEPTH);
  localparam int BW = BEATS > 1 ? $clog2(BEATS) : 1;
  localparam int PW = PASSES > 1 ? $clog2(PASSES) : 1;
  logic [BITS:0] memory[0:DEPTH-1];
  // ``kept``: the oldest beat that a later pass needs. One bit more than an address, as in a queue.
  logic [AW:0] written, read, kept;
  logic [BW-1:0] beat;
  logic [PW-1:0] pass;
  wire push = in_valid & in_ready;
  wire pull = (~out_valid | out_ready) & (written != read);
  logic final_beat, final_pass;

  assign in_ready = written != {~kept[AW], kept[AW-1:0]};

  always_ff @(posedge clk) if (push) memory[written[AW-1:0]] <= {in_last, in_data};

  always_ff @(posedge clk) if (pull) {out_last, out_data} <= memory[read[AW-1:0]];

  always_ff @(posedge clk)
    if (rst) begin
      written   <= '0;
      read      <= '0;
      kept      <= '0;
      beat      <= '0;
      pass      <= '0;
      final_beat <= BEATS == 1;
      final_pass <= PASSES == 1;
      out_valid <= 1'b0;
    end else begin
      if (push) written <= written + 1'b1;
      if (pull) begin
        read <= final_beat & ~final_pass ? kept : read + 1'b1;
        beat <= final_beat ? '0 : beat + 1'b1;
        final_beat <= BEATS == 1 | beat == BW'(BEATS - 2);
        if (final_beat) begin
          pass <= final_pass ? '0 : pass + 1'b1;
          final_pass <= PASSES == 1 | pass == PW'(PASSES - 2);
        end
        if (final_pass) kept <= kept + 1'b1;
      end
      if (~out_valid | out_ready) out_valid <= pull;
    end
endmodule
