// Beats that must leave, in order: each ``pushed`` one once, as it is, nothing else, never more than ROOM on the way. While
// some are owed, at most PATIENCE cycles pass until one is ``offered``, whether the reader is ready or not.
module formal_owed #(
    parameter int BITS = 3,
    parameter int ROOM = 4,
    parameter int PATIENCE = 2,
    parameter int CW = $clog2(ROOM + 1)
) (
    input  wire                  clk,
    input  wire                  rst,
    input  wire                  push,
    input  wire  [     BITS-1:0] pushed,
    input  wire                  valid,
    input  wire                  ready,
    input  wire                  offered,
    input  wire  [     BITS-1:0] data,
    output logic [ROOM*BITS-1:0] owed,
    output logic [       CW-1:0] count
);
  localparam int PW = $clog2(PATIENCE + 2);
  logic [PW-1:0] waited;
  wire pop = valid & ready;
  wire [CW-1:0] place = count - CW'(pop);

  always_ff @(posedge clk) begin
    if (pop) owed <= owed >> BITS;
    if (push) owed[place*BITS+:BITS] <= pushed;
    if (rst) count <= '0;
    else count <= place + CW'(push);
    if (rst | offered | count == '0) waited <= '0;
    else if (waited <= PW'(PATIENCE)) waited <= waited + 1'b1;
  end

  always_comb
    if (~rst) begin
      if (valid) begin
        assert_known : assert (count != '0);
        assert_right : assert (data == owed[BITS-1:0]);
      end
      if (push) assert_room : assert (place < CW'(ROOM));
      assert_offered : assert (waited <= PW'(PATIENCE));
    end
endmodule
