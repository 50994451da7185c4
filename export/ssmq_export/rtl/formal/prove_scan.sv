// A scan as a stream: its beats and their last steps, whatever is computed. Its queue never overflows, or a beat were lost,
// and no state is read before it is there.
module prove_scan #(
    parameter int BEATS  = 2,
    parameter int GROUPS = 2,
    parameter int QUEUE  = 2
) (
    input wire       clk,
    input wire       rst,
    input wire       in_valid,
    input wire [1:0] in_data,
    input wire       in_last,
    input wire       out_ready
);
  // From a beat to what it gives; a step waits for the states of the one before.
  localparam int LATENCY = 16 + GROUPS;
  wire in_ready, out_valid, out_last;
  wire [3:0] out_data;
  ssmq_scan #(.BEATS(BEATS), .GROUPS(GROUPS), .QUEUE(QUEUE), .IN_BITS(2), .STATE_BITS(2), .A_BITS(2), .B_BITS(2), .C_BITS(2),
      .D_BITS(2), .SUM_BITS(6), .SHIFT(1), .OUT_BITS(4), .A_FILE("memory.mem"), .C_FILE("memory.mem"),
      .D_FILE("memory.mem")) dut (.*);

  // A mode is read again only when its state is back. Wires of ``dut`` go by their names in the flattened design.
  (* hierconn *) wire \dut.valid_0 , \dut.valid_9 ;
  (* hierconn *) wire [$clog2(BEATS*GROUPS)-1:0] \dut.place_0 , \dut.place_9 ;
  logic [BEATS*GROUPS-1:0] away;
  always_ff @(posedge clk)
    if (rst) away <= '0;
    else begin
      if (\dut.valid_9 ) away[\dut.place_9 ] <= 1'b0;
      if (\dut.valid_0 ) away[\dut.place_0 ] <= 1'b1;
    end
  always_comb if (~rst & \dut.valid_0 ) assert_back : assert (~away[\dut.place_0 ]);

  formal_reset resets (.*);
  formal_writer #(.BITS(2), .BEATS(BEATS), .PATIENCE(LATENCY + 10)) writer (
      .valid(in_valid), .ready(in_ready), .data(in_data), .last(in_last), .fair(out_ready), .*);
  // That data is stable is the property of the queue.
  formal_rules #(.BITS(1)) rules (.valid(out_valid), .ready(out_ready), .data(1'b0), .last(out_last), .*);
  formal_owed #(.BITS(1), .ROOM(QUEUE), .PATIENCE(LATENCY - 1)) owed (
      .push(in_valid & in_ready), .pushed(in_last),
      .valid(out_valid), .ready(out_ready), .data(out_last), .offered(out_valid), .owed(), .count(), .*);
endmodule
