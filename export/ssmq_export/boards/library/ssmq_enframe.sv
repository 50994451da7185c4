// An answer as a frame: flag, {status, tag, class, value (4 bytes)} and FCS, low bytes first, stuffed as in RFC 1662, flag.
module ssmq_enframe (
    input  wire         clk,
    input  wire         rst,
    input  wire         in_valid,
    output wire         in_ready,
    input  wire  [55:0] in_data,
    output wire         out_valid,
    input  wire         out_ready,
    output wire  [ 7:0] out_data
);
  localparam logic [7:0] FLAG = 8'h7e, ESCAPE = 8'h7d;
  localparam logic [3:0] IDLE = 4'd0, OPENING = 4'd1, LOW = 4'd9, HIGH = 4'd10, CLOSING = 4'd11;
  logic [3:0] place;
  logic escaped;
  logic [55:0] message;
  logic [15:0] fcs;
  wire [15:0] fcs_next;
  wire flag = place == OPENING || place == CLOSING;
  wire [7:0] content = place == LOW ? ~fcs[7:0] : place == HIGH ? ~fcs[15:8] : message[7:0];
  wire escape = ~flag & ~escaped & (content == FLAG || content == ESCAPE);
  wire move = out_valid & out_ready;

  ssmq_fcs check (
      .fcs (fcs),
      .data(message[7:0]),
      .next(fcs_next)
  );
  assign in_ready  = place == IDLE;
  assign out_valid = place != IDLE;
  assign out_data  = flag ? FLAG : escape ? ESCAPE : escaped ? content ^ 8'h20 : content;

  always_ff @(posedge clk)
    if (in_ready) begin
      message <= in_data;
      fcs <= '1;
    end else if (move & ~escape & ~flag & (place < LOW)) begin
      message <= message >> 8;
      fcs <= fcs_next;
    end

  always_ff @(posedge clk)
    if (rst) begin
      place <= IDLE;
      escaped <= 1'b0;
    end else if (in_ready) place <= in_valid ? OPENING : IDLE;
    else if (move) begin
      escaped <= escape;
      if (~escape) place <= place == CLOSING ? IDLE : place + 1'b1;
    end
endmodule
