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
  // The byte that is sent next, and whether an escape comes before it: compared a cycle earlier, so that no path is long.
  logic loaded, escape;
  logic [7:0] current;
  logic [55:0] message;
  logic [15:0] fcs;
  wire [15:0] fcs_next;
  wire flag = place == OPENING || place == CLOSING;
  wire [7:0] content = flag ? FLAG : place == LOW ? ~fcs[7:0] : place == HIGH ? ~fcs[15:8] : message[7:0];
  wire move = out_valid & out_ready;
  wire next = move & ~escape;

  ssmq_fcs check (
      .fcs (fcs),
      .data(message[7:0]),
      .next(fcs_next)
  );
  assign in_ready  = place == IDLE;
  assign out_valid = loaded;
  assign out_data  = escape ? ESCAPE : current;

  always_ff @(posedge clk)
    if (in_ready) begin
      message <= in_data;
      fcs <= '1;
    end else if (next & ~flag & (place < LOW)) begin
      message <= message >> 8;
      fcs <= fcs_next;
    end

  always_ff @(posedge clk)
    if (~loaded) begin
      current <= content;
      escape  <= ~flag & (content == FLAG || content == ESCAPE);
    end else if (move & escape) begin
      current <= current ^ 8'h20;
      escape  <= 1'b0;
    end

  always_ff @(posedge clk)
    if (rst) begin
      place  <= IDLE;
      loaded <= 1'b0;
    end else begin
      loaded <= in_ready ? 1'b0 : ~next;
      if (in_ready) place <= in_valid ? OPENING : IDLE;
      else if (next) place <= place == CLOSING ? IDLE : place + 1'b1;
    end
endmodule
