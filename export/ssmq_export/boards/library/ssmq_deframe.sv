// Frames from bytes: {kind, tag, payload.., FCS low, FCS high} between flags, stuffed as in RFC 1662.
// ``push`` shows every byte of tag and payload as it comes; the verdict follows behind the frame, for one cycle: ``keep`` it,
// or ``drop`` it, or with ``tell`` drop it and answer ``status``. ``lost``: a byte that was pushed found no room.
module ssmq_deframe #(
    parameter int BYTES = 784  // of an image's payload
) (
    input  wire        clk,
    input  wire        rst,
    input  wire        in_valid,
    input  wire        in_broken,
    input  wire  [7:0] in_data,
    output wire        push,
    output wire  [7:0] push_data,
    input  wire        lost,
    output wire        keep,
    output wire        drop,
    output wire        tell,
    output wire  [2:0] status,
    output logic [7:0] tag
);
  localparam logic [7:0] FLAG = 8'h7e, ESCAPE = 8'h7d;
  localparam logic [7:0] HELLO_KIND = 8'd0, IMAGE_KIND = 8'd1;
  localparam logic [2:0] CLASS = 3'd0, HELLO = 3'd1, DAMAGED = 3'd2, LENGTH = 3'd3, KIND = 3'd4, BUSY = 3'd5;
  localparam logic [15:0] EMPTY = 16'hffff, WHOLE = 16'hf0b8;
  // A frame that is too long counts one byte more than an image's, however many it has.
  localparam int CW = $clog2(BYTES + 6);
  localparam logic [CW-1:0] HELLO_SIZE = CW'(4), IMAGE_SIZE = CW'(BYTES + 4), LONGEST = CW'(BYTES + 5);

  logic escaped, damaged, ended;
  logic [ 7:0] kind;
  logic [ 2:0] verdict;
  logic [15:0] fcs;
  logic [CW-1:0] size;
  wire [15:0] fcs_next;
  wire flag = in_valid & ~in_broken & (in_data == FLAG);
  wire escape = in_valid & (in_data == ESCAPE);
  wire content = in_valid & ~flag & ~escape;

  assign push_data = escaped ? in_data ^ 8'h20 : in_data;
  assign push = content & (size != '0) & (size <= CW'(BYTES + 1));
  ssmq_fcs check (
      .fcs (fcs),
      .data(push_data),
      .next(fcs_next)
  );

  always_ff @(posedge clk)
    if (rst | flag) begin
      escaped <= 1'b0;
      damaged <= 1'b0;
      size <= '0;
      fcs <= EMPTY;
    end else if (in_valid) begin
      escaped <= escape;
      if (in_broken) damaged <= 1'b1;
      if (content) begin
        fcs <= fcs_next;
        if (size != LONGEST) size <= size + 1'b1;
        if (size == '0) kind <= push_data;
        if (size == CW'(1)) tag <= push_data;
      end
    end

  // What stands between two flags without anything is no frame.
  always_ff @(posedge clk) begin
    ended <= ~rst & flag & (escaped | damaged | size != '0);
    if (escaped || damaged || fcs != WHOLE || size < HELLO_SIZE) verdict <= DAMAGED;
    else if (kind == IMAGE_KIND) verdict <= size == IMAGE_SIZE ? CLASS : LENGTH;
    else if (kind == HELLO_KIND) verdict <= size == HELLO_SIZE ? HELLO : LENGTH;
    else verdict <= KIND;
  end

  assign status = verdict == CLASS ? BUSY : verdict;
  assign keep = ended & (verdict == CLASS) & ~lost;
  assign drop = ended & ~keep;
  assign tell = drop;
endmodule
