// A writer that may do all that the rules of a stream allow. It must not wait forever: after ``fair`` cycles in a row, in
// which every other writer offers and every reader takes, at most PATIENCE pass without its beat moving.
module formal_writer #(
    parameter int BITS = 2,
    parameter int BEATS = 1,
    parameter int PATIENCE = 0
) (
    input wire            clk,
    input wire            rst,
    input wire            valid,
    input wire            ready,
    input wire [BITS-1:0] data,
    input wire            last,
    input wire            fair
);
  localparam int CW = BEATS > 1 ? $clog2(BEATS) : 1;
  localparam int PW = $clog2(PATIENCE + 2);
  logic offered, of_last;
  logic [  BITS:0] before;
  logic [CW-1:0] beat;
  logic [PW-1:0] waited;
  initial offered = 1'b0;

  always_ff @(posedge clk) begin
    offered <= ~rst & valid & ~ready;
    before  <= {last, data};
    if (rst) beat <= '0;
    else if (valid & ready) begin
      beat <= beat == CW'(BEATS - 1) ? '0 : beat + 1'b1;
      of_last <= last;
    end
    if (rst | ~valid | ready | ~fair) waited <= '0;
    else if (waited <= PW'(PATIENCE)) waited <= waited + 1'b1;
  end

  always_comb
    if (~rst) begin
      if (offered) assume (valid && {last, data} == before);
      if (beat != '0) assume (last == of_last);
      assert_patience : assert (waited <= PW'(PATIENCE));
    end
endmodule
