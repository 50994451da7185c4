// Bytes from a serial line, 8N1, a bit every DIVISOR clocks (4 at least). ``valid`` for one cycle, in the middle of the stop
// bit; with ``broken`` where that bit is missing, and then nothing more until the line rests again.
module ssmq_uart_rx #(
    parameter int DIVISOR = 25
) (
    input  wire        clk,
    input  wire        rst,
    input  wire        rx,
    output logic       valid,
    output logic       broken,
    output logic [7:0] data
);
  localparam int CW = $clog2(DIVISOR);
  localparam logic [3:0] IDLE = 4'd0, START = 4'd1, STOP = 4'd10, RESTING = 4'd11;
  logic [1:0] met;
  logic [3:0] place;
  logic [CW-1:0] left;
  wire line = met[0];
  wire sample = left == '0;

  always_ff @(posedge clk) met <= {rx, met[1]};

  always_ff @(posedge clk)
    if (place == IDLE) left <= CW'(DIVISOR / 2 - 1);
    else left <= sample ? CW'(DIVISOR - 1) : left - 1'b1;

  always_ff @(posedge clk)
    if (rst) place <= RESTING;
    else if (place == RESTING) place <= line ? IDLE : RESTING;
    else if (place == IDLE) place <= line ? IDLE : START;
    else if (sample) begin
      // A start bit that is over by its middle was none.
      if (place == START && line) place <= IDLE;
      else if (place == STOP) place <= line ? IDLE : RESTING;
      else place <= place + 1'b1;
    end

  always_ff @(posedge clk) if (sample && place != STOP) data <= {line, data[7:1]};

  always_ff @(posedge clk) begin
    valid  <= ~rst & sample & (place == STOP);
    broken <= ~line;
  end
endmodule
