// When the modes of a scan start: GROUPS cycles a beat, one group of modes a cycle, nothing stalls on the way. A beat is
// taken when the queue behind the scan has room for what it will give, and IDLE cycles after a step, so that no mode is
// read before its state is back. A step is SLOTS layers, each of which has a sequence of its own.
// ROOM 0: what leaves is always taken.
module ssmq_scan_issue #(
    parameter int BITS   = 8,
    parameter int BEATS  = 4,
    parameter int GROUPS = 4,
    parameter int SLOTS  = 1,
    parameter int IDLE   = 0,
    parameter int ROOM   = 4
) (
    input  wire             clk,
    input  wire             rst,
    input  wire             in_valid,
    output wire             in_ready,
    input  wire  [BITS-1:0] in_data,
    input  wire             in_last,
    // A beat has left the queue.
    input  wire             freed,
    output logic            valid,
    output wire             first_group,
    output wire             final_group,
    output logic            fresh,
    output logic            last,
    output logic [BITS-1:0] data
);
  localparam int RW = ROOM > 0 ? $clog2(ROOM + 1) : 1;
  localparam int LONGEST = GROUPS + IDLE;
  localparam int HW = LONGEST > 1 ? $clog2(LONGEST) : 1;
  logic [RW-1:0] room, room_next;
  logic has_room, idle;
  logic [HW-1:0] pause;
  localparam int BW = BEATS > 1 ? $clog2(BEATS) : 1;
  wire [BW-1:0] beat;
  wire final_beat = beat == BW'(BEATS - 1);
  wire take = in_valid & in_ready;
  assign in_ready = idle & (ROOM == 0 | has_room);

  always_comb begin
    room_next = room;
    if (take & ~freed) room_next = room - 1'b1;
    else if (freed & ~take) room_next = room + 1'b1;
  end
  always_ff @(posedge clk)
    if (rst) begin
      room <= RW'(ROOM);
      has_room <= 1'b1;
    end else begin
      room <= room_next;
      has_room <= room_next != '0;
    end

  ssmq_counter #(
      .COUNT(BEATS)
  ) place (
      .next(take),
      .count(beat),
      .*
  );
  // ``idle``: the pause, counted down, ends with this cycle.
  wire [HW-1:0] pause_given = final_beat ? HW'(LONGEST - 1) : HW'(GROUPS - 1);
  always_ff @(posedge clk)
    if (rst) begin
      pause <= '0;
      idle  <= 1'b1;
    end else if (take) begin
      pause <= pause_given;
      idle  <= pause_given == '0;
    end else if (~idle) begin
      pause <= pause - 1'b1;
      idle  <= pause == HW'(1);
    end

  if (GROUPS == 1) begin : g_one
    assign {first_group, final_group} = 2'b11;
    always_ff @(posedge clk)
      if (rst) valid <= 1'b0;
      else valid <= take;
  end else begin : g_many
    localparam int GW = $clog2(GROUPS);
    wire [GW-1:0] group;
    ssmq_counter #(
        .COUNT(GROUPS)
    ) groups (
        .next(valid),
        .count(group),
        .*
    );
    assign first_group = group == '0;
    assign final_group = group == GW'(GROUPS - 1);
    always_ff @(posedge clk)
      if (rst) valid <= 1'b0;
      else if (take) valid <= 1'b1;
      else if (final_group) valid <= 1'b0;
  end

  // The first step of a sequence starts from states of zero.
  logic [SLOTS-1:0] last_step;
  wire final_of_slot;
  if (SLOTS == 1) begin : g_alone
    assign final_of_slot = final_beat;
    always_ff @(posedge clk)
      if (rst) last_step <= '1;
      else if (take & final_of_slot) last_step <= in_last;
  end else begin : g_layers
    localparam int SB = BEATS / SLOTS;
    localparam int SW = SB > 1 ? $clog2(SB) : 1;
    wire [SW-1:0] beat_of_slot;
    ssmq_counter #(
        .COUNT(SB)
    ) place_in_slot (
        .next(take),
        .count(beat_of_slot),
        .*
    );
    assign final_of_slot = beat_of_slot == SW'(SB - 1);
    always_ff @(posedge clk)
      if (rst) last_step <= '1;
      else if (take & final_of_slot) last_step <= {last_step[SLOTS-2:0], in_last};
  end
  always_ff @(posedge clk)
    if (take) begin
      fresh <= last_step[SLOTS-1];
      last  <= in_last;
      data  <= in_data;
    end
endmodule
