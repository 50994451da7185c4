// Between a serial line and an accelerator: a frame that is whole becomes a sequence of codes, its logits an answer, and
// every other frame an answer that says what is wrong with it. ``lit`` is high after reset and changes with every class.
module ssmq_link #(
    parameter int DIVISOR = 25,  // clocks a bit of the line
    parameter int BYTES = 784,  // of an image's payload
    parameter int DEPTH = 2048,  // bytes that wait, a power of two
    parameter int CODE_BITS = 8,
    parameter int CODES = 784,
    parameter int CHANNELS = 1,
    parameter int CLASSES = 10,
    parameter int LOGIT_BITS = 16,
    parameter int LOGIT_SIGNED = 1,
    parameter logic [7:0] VERSION = 8'd1,
    parameter logic [31:0] IDENTITY = 32'd0  // of the design; what a hello is answered with
) (
    input  wire                   clk,
    input  wire                   rst,
    input  wire                   rx,
    output wire                   tx,
    output logic                  lit,
    output wire                   code_valid,
    input  wire                   code_ready,
    output wire  [ CODE_BITS-1:0] code_data,
    output wire                   code_last,
    input  wire                   logit_valid,
    output wire                   logit_ready,
    input  wire  [LOGIT_BITS-1:0] logit_data
);
  localparam logic [2:0] HELLO = 3'd1;
  wire byte_valid, byte_broken, push, lost, keep, drop, tell;
  wire [7:0] byte_data, push_data, told_tag;
  wire [2:0] told_status;
  wire packet_valid, packet_ready;
  wire [7:0] packet_data, tag, place;
  wire class_valid, answer_ready, sent_valid, sent_ready;
  wire [31:0] margin;
  wire [ 7:0] sent_data;

  ssmq_uart_rx #(
      .DIVISOR(DIVISOR)
  ) receiver (
      .valid (byte_valid),
      .broken(byte_broken),
      .data  (byte_data),
      .*
  );
  ssmq_deframe #(
      .BYTES(BYTES)
  ) deframe (
      .in_valid(byte_valid),
      .in_broken(byte_broken),
      .in_data(byte_data),
      .status(told_status),
      .tag(told_tag),
      .*
  );
  ssmq_packets #(
      .DEPTH(DEPTH)
  ) packets (
      .out_valid(packet_valid),
      .out_ready(packet_ready),
      .out_data (packet_data),
      .*
  );

  // The last frame that had something wrong with it, until that is told.
  logic waiting;
  logic [7:0] waiting_tag;
  logic [2:0] waiting_status;
  wire class_taken = class_valid & answer_ready & ~waiting;
  always_ff @(posedge clk)
    if (rst) waiting <= 1'b0;
    else if (tell) waiting <= 1'b1;
    else if (answer_ready) waiting <= 1'b0;
  always_ff @(posedge clk) if (tell) {waiting_status, waiting_tag} <= {told_status, told_tag};

  ssmq_unpack #(
      .BITS(CODE_BITS),
      .CODES(CODES),
      .CHANNELS(CHANNELS)
  ) unpack (
      .in_valid(packet_valid),
      .in_ready(packet_ready),
      .in_data(packet_data),
      .out_valid(code_valid),
      .out_ready(code_ready),
      .out_data(code_data),
      .out_last(code_last),
      .next(class_taken),
      .*
  );
  ssmq_best #(
      .BEATS(CLASSES),
      .IN_BITS(LOGIT_BITS),
      .IN_SIGNED(LOGIT_SIGNED)
  ) ranking (
      .in_valid(logit_valid),
      .in_ready(logit_ready),
      .in_data(logit_data),
      .out_valid(class_valid),
      .out_ready(answer_ready & ~waiting),
      .*
  );

  wire hello = waiting_status == HELLO;
  wire [55:0] told = {hello ? IDENTITY : 32'd0, hello ? VERSION : 8'd0, waiting_tag, 5'd0, waiting_status};
  ssmq_enframe enframe (
      .in_valid(waiting | class_valid),
      .in_ready(answer_ready),
      .in_data(waiting ? told : {margin, place, tag, 8'd0}),
      .out_valid(sent_valid),
      .out_ready(sent_ready),
      .out_data(sent_data),
      .*
  );
  ssmq_uart_tx #(
      .DIVISOR(DIVISOR)
  ) transmitter (
      .in_valid(sent_valid),
      .in_ready(sent_ready),
      .in_data (sent_data),
      .*
  );

  always_ff @(posedge clk)
    if (rst) lit <= 1'b1;
    else if (class_taken) lit <= ~lit;
endmodule
