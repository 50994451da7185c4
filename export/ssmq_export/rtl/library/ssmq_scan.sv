// A diagonal recurrence over a sequence, mode by mode: x = saturate(round_half_even((a x + b u) / 2**SHIFT)) and
// y = sum over the modes of a head of Re(c x), plus d u. A beat holds HEADS heads; MODES modes of each pass a cycle, the
// GROUPS of them one after another. States lie in a RAM, numbers in ROMs: A_FILE {b_im, b_re, a_im, a_re} a lane,
// C_FILE {c_im, c_re} a lane, D_FILE d a head; lanes are modes of the first head, then of the next.
// Nothing stalls between the issue and the queue of QUEUE beats (a power of two) behind it. QUEUE 0: none, and the latency
// is 2 less, for a reader that always takes. The heads may be those of SLOTS layers, each with a sequence of its own.
// Latency 16 + GROUPS + $clog2(MODES), one more of several MODES; interval of a step the larger of BEATS * GROUPS and 10,
// the loop from reading a state to reading it again.
module ssmq_scan #(
    parameter int HEADS = 1,
    parameter int MODES = 1,
    parameter int BEATS = 4,
    parameter int SLOTS = 1,
    parameter int GROUPS = 4,
    parameter int IN_BITS = 6,
    parameter int IN_SIGNED = 1,
    parameter int STATE_BITS = 8,
    parameter int A_BITS = 12,
    parameter int B_BITS = 4,
    parameter int B_BASE = 0,
    parameter int B_RE_KIND = 1,
    parameter int B_IM_KIND = 0,
    parameter int C_BITS = 4,
    parameter int D_BITS = 4,
    parameter int SUM_BITS = 22,
    parameter int SHIFT = 11,
    parameter int OUT_BITS = 16,
    parameter int QUEUE = 8,
    parameter A_FILE = "a.mem",
    parameter C_FILE = "c.mem",
    parameter D_FILE = "d.mem",
    parameter int STYLE = 0
) (
    input  wire                      clk,
    input  wire                      rst,
    input  wire                      in_valid,
    output wire                      in_ready,
    input  wire [ HEADS*IN_BITS-1:0] in_data,
    input  wire                      in_last,
    output wire                      out_valid,
    input  wire                      out_ready,
    output wire [HEADS*OUT_BITS-1:0] out_data,
    output wire                      out_last
);
  localparam int LANES = HEADS * MODES;
  localparam int WORDS = BEATS * GROUPS;
  localparam int LOOP = 10;
  localparam int WW = WORDS > 1 ? $clog2(WORDS) : 1;
  localparam int BW = BEATS > 1 ? $clog2(BEATS) : 1;
  localparam int AB = A_BITS + B_BITS;
  localparam int UB = IN_BITS + 1;
  localparam int TREE = $clog2(MODES);
  // The multipliers of several modes lie far apart: what they give is held on its way to the sum.
  localparam int HELD = MODES > 1 ? 1 : 0;

  // Names end in the cycle, counted from the one in which a group of modes is issued; _y is 13 + TREE + HELD, when its terms
  // are added up, and _d is 8 + TREE, when d is read for it.
  wire valid_0, first_0, final_0, fresh_0, last_0;
  wire valid_2, first_2, final_2, fresh_2, last_2;
  wire valid_7, first_7, final_7, last_7, valid_9;
  wire valid_d, first_d, final_d, last_d;
  wire valid_y, first_y, final_y, last_y;
  wire y_valid, y_last;
  wire [HEADS*IN_BITS-1:0] given_0, given_2, given_d;
  wire [WW-1:0] place_0, place_7, place_9;
  wire [BW-1:0] head_d;
  wire [2*LANES*STATE_BITS-1:0] states_2, states_9;
  wire [2*LANES*AB-1:0] a_2;
  wire [2*LANES*C_BITS-1:0] c_9;
  wire [HEADS*D_BITS-1:0] d_10;
  wire [HEADS*OUT_BITS-1:0] y;

  ssmq_scan_issue #(
      .BITS(HEADS * IN_BITS),
      .BEATS(BEATS),
      .GROUPS(GROUPS),
      .SLOTS(SLOTS),
      .IDLE(WORDS < LOOP ? LOOP - WORDS : 0),
      .ROOM(QUEUE)
  ) issue (
      .freed(out_valid & out_ready),
      .valid(valid_0),
      .first_group(first_0),
      .final_group(final_0),
      .fresh(fresh_0),
      .last(last_0),
      .data(given_0),
      .*
  );

  ssmq_flags #(.BITS(5), .CYCLES(2)) to_2 (
      .en(1'b1), .in({valid_0, first_0, final_0, fresh_0, last_0}), .out({valid_2, first_2, final_2, fresh_2, last_2}), .*);
  ssmq_flags #(.BITS(4), .CYCLES(5)) to_7 (
      .en(1'b1), .in({valid_2, first_2, final_2, last_2}), .out({valid_7, first_7, final_7, last_7}), .*);
  ssmq_flags #(.BITS(1), .CYCLES(2)) to_9 (.en(1'b1), .in(valid_7), .out(valid_9), .*);
  ssmq_flags #(.BITS(4), .CYCLES(1 + TREE)) to_d (
      .en(1'b1), .in({valid_7, first_7, final_7, last_7}), .out({valid_d, first_d, final_d, last_d}), .*);
  ssmq_flags #(.BITS(4), .CYCLES(5 + HELD)) to_y (
      .en(1'b1), .in({valid_d, first_d, final_d, last_d}), .out({valid_y, first_y, final_y, last_y}), .*);
  ssmq_flags #(.BITS(2), .CYCLES(1)) done (.en(1'b1), .in({valid_y & final_y, last_y}), .out({y_valid, y_last}), .*);
  ssmq_delay #(.BITS(HEADS * IN_BITS), .CYCLES(2)) u_to_2 (.en(1'b1), .in(given_0), .out(given_2), .*);
  ssmq_delay #(.BITS(HEADS * IN_BITS), .CYCLES(8 + TREE)) u_to_d (.en(1'b1), .in(given_2), .out(given_d), .*);

  ssmq_counter #(.COUNT(WORDS)) reading (.next(valid_0), .count(place_0), .*);
  ssmq_counter #(.COUNT(WORDS)) weighing (.next(valid_7), .count(place_7), .*);
  ssmq_counter #(.COUNT(WORDS)) writing (.next(valid_9), .count(place_9), .*);
  ssmq_counter #(.COUNT(BEATS)) heads (.next(valid_d & final_d), .count(head_d), .*);

  ssmq_rom #(.BITS(2 * LANES * AB), .DEPTH(WORDS), .FILE(A_FILE)) a_numbers (.en(1'b1), .address(place_0), .data(a_2), .*);
  ssmq_rom #(.BITS(2 * LANES * C_BITS), .DEPTH(WORDS), .FILE(C_FILE)) c_numbers (.en(1'b1), .address(place_7), .data(c_9), .*);
  ssmq_rom #(.BITS(HEADS * D_BITS), .DEPTH(BEATS), .FILE(D_FILE)) d_numbers (.en(1'b1), .address(head_d), .data(d_10), .*);
  ssmq_scan_memory #(.BITS(2 * LANES * STATE_BITS), .DEPTH(WORDS)) states (
      .read_address(place_0),
      .read_data(states_2),
      .write(valid_9),
      .write_address(place_9),
      .write_data(states_9),
      .*
  );

  for (genvar head = 0; head < HEADS; head++) begin : g_head
    wire [IN_BITS-1:0] code_2 = given_2[head*IN_BITS+:IN_BITS];
    wire [IN_BITS-1:0] code_d = given_d[head*IN_BITS+:IN_BITS];
    wire [UB+D_BITS-1:0] product, direct;

    for (genvar mode = 0; mode < MODES; mode++) begin : g_mode
      localparam int LANE = head * MODES + mode;
      wire [2*STATE_BITS-1:0] x = fresh_2 ? '0 : states_2[2*LANE*STATE_BITS+:2*STATE_BITS];
      wire [2*AB-1:0] numbers = a_2[2*LANE*AB+:2*AB];
      ssmq_scan_update #(
          .STATE_BITS(STATE_BITS),
          .U_BITS(UB),
          .A_BITS(A_BITS),
          .B_BITS(B_BITS),
          .B_BASE(B_BASE),
          .B_RE_KIND(B_RE_KIND),
          .B_IM_KIND(B_IM_KIND),
          .SUM_BITS(SUM_BITS),
          .SHIFT(SHIFT),
          .STYLE(STYLE)
      ) update (
          .x_re(x[STATE_BITS-1:0]),
          .x_im(x[2*STATE_BITS-1:STATE_BITS]),
          .a_re(numbers[A_BITS-1:0]),
          .a_im(numbers[2*A_BITS-1:A_BITS]),
          .b_re(numbers[2*A_BITS+:B_BITS]),
          .b_im(numbers[2*A_BITS+B_BITS+:B_BITS]),
          .u({IN_SIGNED != 0 && code_2[IN_BITS-1], code_2}),
          .next_re(states_9[2*LANE*STATE_BITS+:STATE_BITS]),
          .next_im(states_9[(2*LANE+1)*STATE_BITS+:STATE_BITS]),
          .*
      );
    end

    ssmq_multiply #(
        .A_BITS(UB),
        .B_BITS(D_BITS),
        .STYLE (STYLE)
    ) skip (
        .en(1'b1),
        .a({IN_SIGNED != 0 && code_d[IN_BITS-1], code_d}),
        .b(d_10[head*D_BITS+:D_BITS]),
        .*
    );
    ssmq_delay #(.BITS(UB + D_BITS), .CYCLES(HELD)) to_sum (.en(1'b1), .in(product), .out(direct), .*);
    ssmq_scan_output #(
        .MODES(MODES),
        .STATE_BITS(STATE_BITS),
        .C_BITS(C_BITS),
        .D_BITS(UB + D_BITS),
        .OUT_BITS(OUT_BITS),
        .HELD(HELD),
        .STYLE(STYLE)
    ) read_out (
        .states(states_9[2*head*MODES*STATE_BITS+:2*MODES*STATE_BITS]),
        .weights(c_9[2*head*MODES*C_BITS+:2*MODES*C_BITS]),
        .valid(valid_y),
        .first(first_y),
        .y(y[head*OUT_BITS+:OUT_BITS]),
        .*
    );
  end

  if (QUEUE == 0) begin : g_paced
    assign out_valid = y_valid;
    assign out_data  = y;
    assign out_last  = y_last;
  end else begin : g_queued
    // There is room: a beat was only taken where there is.
    wire unused_ready;
    ssmq_fifo #(
        .BITS (HEADS * OUT_BITS),
        .DEPTH(QUEUE)
    ) queue (
        .in_valid(y_valid),
        .in_ready(unused_ready),
        .in_data(y),
        .in_last(y_last),
        .*
    );
  end
endmodule
