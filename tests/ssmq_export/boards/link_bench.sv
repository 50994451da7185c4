// The parts of a link beside each other, each between two streams.
module link_bench (
    input  wire        clk,
    input  wire        rst,
    // Bytes of frames -> {keep, status, tag}.
    input  wire        bytes_valid,
    output wire        bytes_ready,
    input  wire [ 7:0] bytes_data,
    input  wire        bytes_last,
    output wire        verdict_valid,
    input  wire        verdict_ready,
    output wire [11:0] verdict_data,
    output wire        verdict_last,
    // The same of a queue that nobody reads until eight verdicts are told -> packets.
    input  wire        full_valid,
    output wire        full_ready,
    input  wire [ 7:0] full_data,
    input  wire        full_last,
    output wire        told_valid,
    input  wire        told_ready,
    output wire [11:0] told_data,
    output wire        told_last,
    output wire        kept_valid,
    input  wire        kept_ready,
    output wire [ 7:0] kept_data,
    output wire        kept_last,
    // Messages -> bytes on a serial line -> bytes.
    input  wire        message_valid,
    output wire        message_ready,
    input  wire [55:0] message_data,
    input  wire        message_last,
    output wire        framed_valid,
    input  wire        framed_ready,
    output wire [ 7:0] framed_data,
    output wire        framed_last,
    // Levels of a line, one a clock -> {broken, byte}.
    input  wire        level_valid,
    output wire        level_ready,
    input  wire        level_data,
    input  wire        level_last,
    output wire        heard_valid,
    input  wire        heard_ready,
    output wire [ 8:0] heard_data,
    output wire        heard_last,
    // {tag, packed codes} -> codes.
    input  wire        packed_valid,
    output wire        packed_ready,
    input  wire [ 7:0] packed_data,
    input  wire        packed_last,
    output wire        code_valid,
    input  wire        code_ready,
    output wire [ 4:0] code_data,
    output wire        code_last,
    // The same where codes fill all bytes.
    input  wire        filled_valid,
    output wire        filled_ready,
    input  wire [ 7:0] filled_data,
    input  wire        filled_last,
    output wire        whole_valid,
    input  wire        whole_ready,
    output wire [ 4:0] whole_data,
    output wire        whole_last,
    // Logits -> {place, margin}.
    input  wire        logit_valid,
    output wire        logit_ready,
    input  wire [ 5:0] logit_data,
    input  wire        logit_last,
    output wire        best_valid,
    input  wire        best_ready,
    output wire [39:0] best_data,
    output wire        best_last,
    // As axi_bench has them.
    input  wire        axis_valid,
    output wire        axis_ready,
    input  wire [ 7:0] axis_data,
    input  wire        axis_last,
    output wire        class_valid,
    input  wire        class_ready,
    output wire [63:0] class_data,
    output wire        class_last,
    output wire        given_valid,
    input  wire        given_ready,
    output wire [ 4:0] given_data,
    output wire        given_last,
    input  wire        access_valid,
    output wire        access_ready,
    input  wire [41:0] access_data,
    input  wire        access_last,
    output wire        read_valid,
    input  wire        read_ready,
    output wire [31:0] read_data,
    output wire        read_last
);
  axi_bench axi (.*);
  assign read_last = 1'b0;

  wire keep, drop, tell, push, unused_broken;
  wire [2:0] status;
  wire [7:0] push_data, verdict_tag;
  assign bytes_ready = 1'b1;
  // A byte with ``last`` came without its stop bit.
  ssmq_deframe #(
      .BYTES(5)
  ) deframe (
      .in_valid(bytes_valid),
      .in_broken(bytes_last),
      .in_data(bytes_data),
      .lost(1'b0),
      .tag(verdict_tag),
      .*
  );
  assign verdict_valid = keep | tell;
  assign verdict_data  = {keep, keep ? 3'd0 : status, verdict_tag};
  assign verdict_last  = 1'b0;

  wire full_keep, full_drop, full_tell, full_push, full_lost, queue_valid;
  wire [2:0] full_status;
  wire [7:0] full_push_data, full_tag;
  logic [3:0] told;
  assign full_ready = 1'b1;
  ssmq_deframe #(
      .BYTES(5)
  ) deframe_full (
      .in_valid(full_valid),
      .in_broken(full_last),
      .in_data(full_data),
      .push(full_push),
      .push_data(full_push_data),
      .lost(full_lost),
      .keep(full_keep),
      .drop(full_drop),
      .tell(full_tell),
      .status(full_status),
      .tag(full_tag),
      .*
  );
  ssmq_packets #(
      .DEPTH(16)
  ) packets (
      .push(full_push),
      .push_data(full_push_data),
      .keep(full_keep),
      .drop(full_drop),
      .lost(full_lost),
      .out_valid(queue_valid),
      .out_ready(kept_ready & told[3]),
      .out_data(kept_data),
      .*
  );
  always_ff @(posedge clk)
    if (rst) told <= '0;
    else if (told_valid & ~told[3]) told <= told + 1'b1;
  assign told_valid = full_keep | full_tell;
  assign told_data  = {full_keep, full_keep ? 3'd0 : full_status, full_tag};
  assign told_last  = 1'b0;
  assign kept_valid = queue_valid & told[3];
  assign kept_last  = 1'b0;

  wire sent_valid, sent_ready, line;
  wire [7:0] sent_data;
  ssmq_enframe enframe (
      .in_valid(message_valid),
      .in_ready(message_ready),
      .in_data(message_data),
      .out_valid(sent_valid),
      .out_ready(sent_ready),
      .out_data(sent_data),
      .*
  );
  ssmq_uart_tx #(
      .DIVISOR(4)
  ) transmitter (
      .in_valid(sent_valid),
      .in_ready(sent_ready),
      .in_data(sent_data),
      .tx(line),
      .*
  );
  ssmq_uart_rx #(
      .DIVISOR(4)
  ) receiver (
      .rx(line),
      .valid(framed_valid),
      .data(framed_data),
      .broken(unused_broken),
      .*
  );
  assign framed_last = 1'b0;

  assign level_ready = 1'b1;
  ssmq_uart_rx #(
      .DIVISOR(4)
  ) listener (
      .rx(level_data | ~level_valid),
      .valid(heard_valid),
      .data(heard_data[7:0]),
      .broken(heard_data[8]),
      .*
  );
  assign heard_last = 1'b0;

  // In the last byte a whole code is unused.
  unpack_bench #(
      .CODES(10)
  ) unpack (
      .in_valid(packed_valid),
      .in_ready(packed_ready),
      .in_data(packed_data),
      .out_valid(code_valid),
      .out_ready(code_ready),
      .out_data(code_data),
      .out_last(code_last),
      .*
  );
  unpack_bench #(
      .CODES(8)
  ) unpack_filled (
      .in_valid(filled_valid),
      .in_ready(filled_ready),
      .in_data(filled_data),
      .out_valid(whole_valid),
      .out_ready(whole_ready),
      .out_data(whole_data),
      .out_last(whole_last),
      .*
  );

  ssmq_best #(
      .BEATS(4),
      .IN_BITS(6)
  ) ranking (
      .in_valid(logit_valid),
      .in_ready(logit_ready),
      .in_data(logit_data),
      .out_valid(best_valid),
      .out_ready(best_ready),
      .place(best_data[39:32]),
      .margin(best_data[31:0]),
      .*
  );
  assign best_last = 1'b0;
  wire unused = &{1'b0, verdict_ready, told_ready, given_ready, level_last,
      heard_ready, access_last, framed_ready, drop, push, push_data, message_last, packed_last, filled_last, logit_last, unused_broken};
endmodule
