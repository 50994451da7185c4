// One layer that is SLOTS layers: in an iteration every layer has a slot of BEATS beats, and slot k works on the step that
// slot k - 1 had in the iteration before. ``in`` brings the steps of slot 0, ``out`` leads into the layer, ``back`` comes
// from it, ``result`` are the steps that have passed every layer.
// ``out`` is paced: its reader takes every beat. GAP cycles lie from one beat to the next, IDLE more behind a slot, and a
// slot is back within SLOTS + 1 slots, so that the queue of DEPTH beats, (SLOTS + 2) * BEATS at least, is never too small.
// READ as in ssmq_fifo.
// When no step comes behind the last one of a sequence, hollow steps go through the layer until that one has left.
// ``out_last``: the slot's step is the last one of its sequence; it is high with hollow steps too.
// Latency 1, interval of a step SLOTS * (BEATS * GAP + IDLE), more than SLOTS * (BEATS + 1).
module ssmq_loop #(
    parameter int BITS  = 8,
    parameter int SLOTS = 2,
    parameter int BEATS = 4,
    parameter int GAP   = 2,
    parameter int IDLE  = 0,
    parameter int DEPTH = 16,
    parameter int READ  = 1
) (
    input  wire             clk,
    input  wire             rst,
    input  wire             in_valid,
    output wire             in_ready,
    input  wire  [BITS-1:0] in_data,
    input  wire             in_last,
    input  wire             back_valid,
    output wire             back_ready,
    input  wire  [BITS-1:0] back_data,
    input  wire             back_last,
    output logic            out_valid,
    input  wire             out_ready,
    output logic [BITS-1:0] out_data,
    output logic            out_last,
    output wire             result_valid,
    input  wire             result_ready,
    output wire  [BITS-1:0] result_data,
    output wire             result_last
);
  localparam int SW = $clog2(SLOTS + 1);
  localparam int BW = BEATS > 1 ? $clog2(BEATS) : 1;
  localparam int LONGEST = GAP + IDLE;
  localparam int PW = LONGEST > 4 ? $clog2(LONGEST) : 2;

  // What has been through the layer; after reset as many beats as an iteration and a slot have, of hollow steps.
  wire queue_valid, queue_ready, queue_last;
  wire [BITS-1:0] queue_data;
  wire unused = &{1'b0, out_ready, back_last, queue_last};
  ssmq_fifo #(
      .BITS (BITS),
      .DEPTH(DEPTH),
      .START((SLOTS + 1) * BEATS),
      .READ (READ)
  ) queue (
      .in_valid(back_valid),
      .in_ready(back_ready),
      .in_data(back_data),
      .in_last(1'b0),
      .out_valid(queue_valid),
      .out_ready(queue_ready),
      .out_data(queue_data),
      .out_last(queue_last),
      .*
  );

  // Of every slot whether its step is one of ``in`` and whether it is the last one; one more for the result.
  logic [SLOTS:0] solid, ended;
  logic [SW-1:0] slot;
  logic [BW-1:0] beat, shown;
  logic fresh, starts, final_beat, hollow, may_fill, due, turn, all_shown;
  logic [PW-1:0] pause;

  // A hollow step may take the place of one that is not there only between sequences, while others are on their way.
  wire fill = starts ? ~in_valid & may_fill : hollow;
  wire open = due & (all_shown | ~final_beat);
  wire given = in_valid | (starts ? may_fill : hollow);
  wire take = (fresh & open & given) | (~fresh & due & queue_valid);
  assign in_ready = fresh & open & (starts | ~hollow);

  // During slot 0 the queue gives the result.
  wire show = fresh & queue_valid & ~all_shown;
  wire shows = show & (result_ready | ~solid[SLOTS]);
  assign result_valid = show & solid[SLOTS];
  assign result_data  = queue_data;
  assign result_last  = ended[SLOTS];
  assign queue_ready  = shows | (~fresh & take);

  // ``due``: the pause, counted down, ends with this cycle.
  wire [PW-1:0] pause_given = final_beat ? PW'(LONGEST - 1) : PW'(GAP - 1);
  always_ff @(posedge clk)
    if (rst) begin
      // By then all modules that read memories ahead have done so.
      pause <= PW'(2);
      due   <= 1'b0;
    end else if (take) begin
      pause <= pause_given;
      due   <= pause_given == '0;
    end else if (~due) begin
      pause <= pause - 1'b1;
      due   <= pause == PW'(1);
    end

  always_ff @(posedge clk)
    if (rst) begin
      beat <= '0;
      starts <= 1'b1;
      final_beat <= BEATS == 1;
      slot <= '0;
      fresh <= 1'b1;
      hollow <= 1'b0;
      turn <= 1'b0;
      out_valid <= 1'b0;
    end else begin
      out_valid <= take;
      if (take) begin
        beat <= final_beat ? '0 : beat + 1'b1;
        starts <= final_beat;
        final_beat <= BEATS == 1 | beat == BW'(BEATS - 2);
        if (fresh & starts) hollow <= fill;
      end
      // A slot's last beat has a pause behind it, in which the next one begins.
      turn <= take & final_beat;
      if (turn) begin
        slot  <= slot == SW'(SLOTS - 1) ? '0 : slot + 1'b1;
        fresh <= slot == SW'(SLOTS - 1);
      end
    end

  always_ff @(posedge clk)
    if (rst) begin
      solid <= '0;
      ended <= '1;
      may_fill <= 1'b0;
      shown <= '0;
      all_shown <= 1'b0;
    end else begin
      // Slot 0 is a slot away when this changes.
      may_fill <= ended[0] & (|solid[SLOTS-1:0]);
      if (fresh & turn) begin
        solid <= {solid[SLOTS-1:0], ~hollow};
        ended <= {ended[SLOTS-1:0], out_last};
      end
      if (shows) shown <= shown == BW'(BEATS - 1) ? '0 : shown + 1'b1;
      if (shows & (shown == BW'(BEATS - 1))) all_shown <= 1'b1;
      else if (~fresh) all_shown <= 1'b0;
    end

  always_ff @(posedge clk)
    if (take) begin
      out_data <= fresh ? in_data : queue_data;
      out_last <= fresh ? fill | in_last : ended[slot];
    end
endmodule
