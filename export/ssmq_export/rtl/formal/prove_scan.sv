// A scan as a stream, whatever is computed: the beat that it gives is in the queue LATENCY - 2 cycles after one was taken,
// with the flag of that one; the queue never overflows, or a beat were lost; no state is read before it is there, LOOP
// cycles after it was read; the first step of a sequence starts afresh. What the queue gives is the proof of ssmq_fifo.
// By induction over more cycles than a beat is on the way; what is older is told by assertions about counters.
module prove_scan #(
    parameter int BEATS = 2,
    parameter int GROUPS = 2,
    parameter int QUEUE = 2,
    parameter int LOOP = 10,
    parameter int LATENCY = 18
) (
    input wire       clk,
    input wire       rst,
    input wire       in_valid,
    input wire [1:0] in_data,
    input wire       in_last,
    input wire       out_ready
);
  localparam int WORDS = BEATS * GROUPS;
  localparam int WAY = LATENCY - 2;
  // Cycles from the final beat of a step to the next one that is taken.
  localparam int LONGEST = WORDS < LOOP ? GROUPS + LOOP - WORDS : GROUPS;
  localparam int PATIENCE = LATENCY + LOOP;
  wire in_ready, out_valid, out_last;
  wire [3:0] out_data;
  ssmq_scan #(.BEATS(BEATS), .GROUPS(GROUPS), .QUEUE(QUEUE), .IN_BITS(2), .STATE_BITS(2), .A_BITS(2), .B_BITS(2), .C_BITS(2),
      .D_BITS(2), .SUM_BITS(6), .SHIFT(1), .OUT_BITS(4), .A_FILE("memory.mem"), .C_FILE("memory.mem"),
      .D_FILE("memory.mem")) dut (.*);

  // Wires of ``dut`` and ``writer`` go by their names in the flattened design.
  (* hierconn *) wire \dut.valid_0 , \dut.fresh_0 , \dut.valid_9 , \dut.y_valid , \dut.y_last ;
  (* hierconn *) wire \dut.g_queued.unused_ready , \dut.issue.has_room , \dut.issue.idle , \dut.issue.last_step ;
  (* hierconn *) wire [$clog2(WORDS)-1:0] \dut.place_0 , \dut.place_9 ;
  (* hierconn *) wire [(BEATS > 1 ? $clog2(BEATS) : 1)-1:0] \dut.issue.beat ;
  (* hierconn *) wire [$clog2(GROUPS)-1:0] \dut.issue.g_many.group ;
  (* hierconn *) wire [$clog2(LONGEST)-1:0] \dut.issue.pause ;
  (* hierconn *) wire [$clog2(QUEUE+1)-1:0] \dut.issue.room ;
  (* hierconn *) wire [$clog2(QUEUE):0] \dut.g_queued.queue.written , \dut.g_queued.queue.read ;
  (* hierconn *) wire [$clog2(PATIENCE+2)-1:0] \writer.waited ;

  // Beats on the way to the queue, by the cycles since they were taken, and how many are in it.
  wire take = in_valid & in_ready;
  logic [WAY-1:0] way, way_last;
  logic [7:0] going, held;
  wire [$clog2(QUEUE):0] stored = \dut.g_queued.queue.written - \dut.g_queued.queue.read ;
  always_ff @(posedge clk) begin
    way_last <= {way_last, in_last};
    if (rst) {way, held} <= '0;
    else begin
      way  <= {way, take};
      held <= held + 8'(\dut.y_valid ) - 8'(out_valid & out_ready);
    end
  end
  always_comb begin
    going = 0;
    for (int i = 0; i < WAY; i++) going = going + 8'(way[i]);
  end
  always_comb
    if (~rst) begin
      assert_due : assert (\dut.y_valid == way[WAY-1]);
      if (way[WAY-1]) assert_own_last : assert (\dut.y_last == way_last[WAY-1]);
      if (\dut.y_valid ) assert_room : assert (\dut.g_queued.unused_ready );
      assert_credit : assert (8'(\dut.issue.room ) + going + held == QUEUE);
      assert_has_room : assert (\dut.issue.has_room == (\dut.issue.room != 0));
      assert_held : assert (8'(stored) + 8'(out_valid) == held);
    end

  // The latest beat: its place in the step, whether a sequence begins with its step, the cycles since it was taken.
  logic begun, starts, fresh;
  logic [7:0] latest, since;
  wire final_beat = latest == BEATS - 1;
  wire [7:0] given = final_beat ? LONGEST - 1 : GROUPS - 1;
  wire [7:0] following = begun & ~final_beat ? latest + 1 : 0;
  always_ff @(posedge clk)
    if (rst) {begun, starts, latest, since} <= {2'b01, 16'd0};
    else if (take) begin
      {begun, latest, since, fresh} <= {1'b1, following, 8'd0, starts};
      if (following == BEATS - 1) starts <= in_last;
    end else if (since < LOOP) since <= since + 1;
  always_comb
    if (~rst) begin
      assert_counted : assert (since <= LOOP & latest < BEATS & \dut.place_9 < WORDS);
      assert_beat : assert (\dut.issue.beat == following);
      assert_pause : assert (\dut.issue.pause == (begun & since <= given ? given - since : 0));
      assert_idle : assert (\dut.issue.idle == (\dut.issue.pause == 0));
      assert_valid : assert (\dut.valid_0 == (begun & since < GROUPS));
      assert_group : assert (\dut.issue.g_many.group == (\dut.valid_0 ? since : 0));
      assert_place : assert (\dut.place_0 == (\dut.valid_0 ? latest * GROUPS + since : following * GROUPS));
      assert_starts : assert (\dut.issue.last_step == starts);
      if (\dut.valid_0 ) assert_fresh : assert (\dut.fresh_0 == fresh);
    end

  // Groups of modes that were read in the last LOOP - 1 cycles; the oldest one is written.
  localparam int WW = $clog2(WORDS);
  logic [LOOP-2:0] away;
  logic [(LOOP-1)*WW-1:0] places;
  logic again;
  logic [7:0] count;
  always_ff @(posedge clk) begin
    places <= {places, \dut.place_0 };
    away   <= rst ? '0 : {away, \dut.valid_0 };
  end
  always_comb begin
    again = 0;
    count = 0;
    for (int i = 0; i < LOOP - 1; i++) begin
      again = again | (away[i] & places[i*WW+:WW] == \dut.place_0 );
      count = count + 8'(away[i]);
    end
  end
  always_comb
    if (~rst) begin
      if (\dut.valid_0 ) assert_back : assert (~again);
      assert_written : assert (\dut.valid_9 == away[LOOP-2]);
      if (\dut.valid_9 ) assert_own_place : assert (\dut.place_9 == places[(LOOP-2)*WW+:WW]);
      assert_in_turn : assert ((8'(\dut.place_9 ) + count) % WORDS == \dut.place_0 );
    end

  // While a beat waits, readers take: none is taken after those on the way, and all leave the queue.
  logic taken, full;
  always_comb begin
    taken = 0;
    full  = 0;
    for (int i = 0; i < WAY; i++) taken = taken | (\writer.waited > i & way[i]);
    for (int i = 0; i <= QUEUE; i++) full = full | (\writer.waited > WAY + 1 + i & held > QUEUE - i);
  end
  always_comb
    if (~rst) begin
      assert_none_taken : assert (~taken);
      assert_leaving : assert (~full);
      if (\writer.waited > WAY + 1) assert_offered : assert (out_valid | held == 0);
      if (~\dut.issue.idle ) assert_paused : assert (\writer.waited + \dut.issue.pause < LONGEST);
    end

  formal_reset resets (.*);
  formal_writer #(.BITS(2), .BEATS(BEATS), .PATIENCE(PATIENCE)) writer (
      .valid(in_valid), .ready(in_ready), .data(in_data), .last(in_last), .fair(out_ready), .*);
  formal_rules #(.BITS(1)) rules (.valid(out_valid), .ready(out_ready), .data(1'b0), .last(out_last), .*);
endmodule
