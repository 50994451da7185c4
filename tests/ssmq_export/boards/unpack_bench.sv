// Codes of two channels; a sequence has its answer 30 clocks after its last code.
module unpack_bench #(
    parameter int CODES = 10
) (
    input  wire       clk,
    input  wire       rst,
    input  wire       in_valid,
    output wire       in_ready,
    input  wire [7:0] in_data,
    output wire       out_valid,
    input  wire       out_ready,
    output wire [4:0] out_data,
    output wire       out_last
);
  wire [7:0] tag;
  logic [3:0] count;
  logic [4:0] since;
  wire next = since == 5'd30;
  ssmq_unpack #(
      .BITS(5),
      .CODES(CODES),
      .CHANNELS(2)
  ) unpack (
      .*
  );
  always_ff @(posedge clk) begin
    if (rst | next) count <= '0;
    else if (out_valid & out_ready) count <= count + 1'b1;
    since <= count < 4'(CODES) ? '0 : since + 1'b1;
  end
  wire unused = &{1'b0, tag};
endmodule
