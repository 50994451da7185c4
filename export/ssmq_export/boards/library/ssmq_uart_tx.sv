// Bytes to a serial line, 8N1, a bit every DIVISOR clocks.
module ssmq_uart_tx #(
    parameter int DIVISOR = 25
) (
    input  wire       clk,
    input  wire       rst,
    input  wire       in_valid,
    output wire       in_ready,
    input  wire [7:0] in_data,
    output wire       tx
);
  localparam int CW = $clog2(DIVISOR);
  // The bits that are still to come, ones behind them; the line rests at one.
  logic [9:0] bits;
  logic [3:0] place;
  logic [CW-1:0] left;
  assign tx = bits[0];
  assign in_ready = place == '0;

  always_ff @(posedge clk)
    if (rst) begin
      bits  <= '1;
      place <= '0;
    end else if (in_ready) begin
      left <= CW'(DIVISOR - 1);
      if (in_valid) begin
        bits  <= {1'b1, in_data, 1'b0};
        place <= 4'd10;
      end
    end else if (left == '0) begin
      left  <= CW'(DIVISOR - 1);
      bits  <= {1'b1, bits[9:1]};
      place <= place - 1'b1;
    end else left <= left - 1'b1;
endmodule
