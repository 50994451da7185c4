// What a module owes the reader of an output: a beat once offered stays as it is until it has moved.
module formal_rules #(
    parameter int BITS = 2
) (
    input wire            clk,
    input wire            rst,
    input wire            valid,
    input wire            ready,
    input wire [BITS-1:0] data,
    input wire            last
);
  logic offered;
  logic [BITS:0] before;
  initial offered = 1'b0;

  always_ff @(posedge clk) begin
    offered <= ~rst & valid & ~ready;
    before  <= {last, data};
  end

  always_comb
    if (offered & ~rst) begin
      assert_stays : assert (valid);
      assert_stable : assert ({last, data} == before);
    end
endmodule
