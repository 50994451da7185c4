// Between AXI and an accelerator: AXI4-Stream in, a code a beat, TLAST with the last of a sequence; AXI4-Stream out, a beat a
// sequence, {margin, class}; AXI4-Lite with the registers that docs/boards.md lists.
module ssmq_axi #(
    parameter int CODE_BITS = 8,
    parameter int CODES = 784,
    parameter int CHANNELS = 1,
    parameter int CLASSES = 10,
    parameter int LOGIT_BITS = 16,
    parameter int LOGIT_SIGNED = 1,
    parameter logic [7:0] VERSION = 8'd1,
    parameter logic [31:0] IDENTITY = 32'd0,
    parameter int TDATA_BITS = 8 * ((CODE_BITS + 7) / 8)
) (
    input  wire                   aclk,
    input  wire                   aresetn,
    input  wire                   s_axis_tvalid,
    output wire                   s_axis_tready,
    input  wire  [TDATA_BITS-1:0] s_axis_tdata,
    input  wire                   s_axis_tlast,
    output wire                   m_axis_tvalid,
    input  wire                   m_axis_tready,
    output wire  [          63:0] m_axis_tdata,
    output wire                   m_axis_tlast,
    input  wire                   s_axi_awvalid,
    output wire                   s_axi_awready,
    input  wire  [           4:0] s_axi_awaddr,
    input  wire                   s_axi_wvalid,
    output wire                   s_axi_wready,
    input  wire  [          31:0] s_axi_wdata,
    output logic                  s_axi_bvalid,
    input  wire                   s_axi_bready,
    output wire  [           1:0] s_axi_bresp,
    input  wire                   s_axi_arvalid,
    output wire                   s_axi_arready,
    input  wire  [           4:0] s_axi_araddr,
    output logic                  s_axi_rvalid,
    input  wire                   s_axi_rready,
    output logic [          31:0] s_axi_rdata,
    output wire  [           1:0] s_axi_rresp,
    output wire                   rst,
    output wire                   code_valid,
    input  wire                   code_ready,
    output wire  [ CODE_BITS-1:0] code_data,
    output wire                   code_last,
    input  wire                   logit_valid,
    output wire                   logit_ready,
    input  wire  [LOGIT_BITS-1:0] logit_data
);
  localparam int CW = $clog2(CODES);
  localparam logic [2:0] CONTROL = 3'd2, FAULTS = 3'd3;
  logic halted, misplaced;
  logic [31:0] sequences, cycles, elapsed;
  logic [CW-1:0] count;
  wire [7:0] place;
  wire [31:0] margin;
  wire take = code_valid & code_ready;
  wire give = m_axis_tvalid & m_axis_tready;
  wire final_code = count == CW'(CODES - 1);
  wire write = s_axi_awready & s_axi_awvalid;
  wire unused = &{1'b0, s_axis_tdata, s_axi_awaddr[1:0], s_axi_araddr[1:0], s_axi_wdata[31:1]};

  assign rst = ~aresetn | halted;
  assign code_valid = s_axis_tvalid & ~rst;
  assign s_axis_tready = code_ready & ~rst;
  assign code_data = s_axis_tdata[CODE_BITS-1:0];
  assign code_last = count >= CW'(CODES - CHANNELS);
  assign m_axis_tdata = {margin, 24'd0, place};
  assign m_axis_tlast = 1'b1;

  ssmq_best #(
      .BEATS(CLASSES),
      .IN_BITS(LOGIT_BITS),
      .IN_SIGNED(LOGIT_SIGNED)
  ) ranking (
      .clk(aclk),
      .in_valid(logit_valid),
      .in_ready(logit_ready),
      .in_data(logit_data),
      .out_valid(m_axis_tvalid),
      .out_ready(m_axis_tready),
      .*
  );

  always_ff @(posedge aclk)
    if (rst) count <= '0;
    else if (take) count <= final_code ? '0 : count + 1'b1;

  // Between the last two classes, or from reset to the first.
  always_ff @(posedge aclk)
    if (rst) begin
      sequences <= '0;
      cycles <= '0;
      elapsed <= 32'd1;
    end else begin
      elapsed <= give ? 32'd1 : elapsed + 1'b1;
      if (give) begin
        sequences <= sequences + 1'b1;
        cycles <= elapsed;
      end
    end

  // Address and data of a write are taken together; nothing waits for anything else.
  assign s_axi_awready = s_axi_awvalid & s_axi_wvalid & ~s_axi_bvalid;
  assign s_axi_wready  = s_axi_awready;
  assign s_axi_bresp   = 2'b00;
  always_ff @(posedge aclk)
    if (~aresetn) begin
      halted <= 1'b0;
      misplaced <= 1'b0;
      s_axi_bvalid <= 1'b0;
    end else begin
      if (write && s_axi_awaddr[4:2] == CONTROL) halted <= s_axi_wdata[0];
      if (write && s_axi_awaddr[4:2] == FAULTS) misplaced <= 1'b0;
      else if (take && s_axis_tlast != final_code) misplaced <= 1'b1;
      s_axi_bvalid <= write | (s_axi_bvalid & ~s_axi_bready);
    end

  assign s_axi_arready = ~s_axi_rvalid;
  assign s_axi_rresp   = 2'b00;
  always_ff @(posedge aclk)
    if (~aresetn) s_axi_rvalid <= 1'b0;
    else s_axi_rvalid <= (s_axi_arvalid & s_axi_arready) | (s_axi_rvalid & ~s_axi_rready);
  always_ff @(posedge aclk)
    if (s_axi_arready)
      case (s_axi_araddr[4:2])
        3'd0: s_axi_rdata <= IDENTITY;
        3'd1: s_axi_rdata <= {24'd0, VERSION};
        CONTROL: s_axi_rdata <= {31'd0, halted};
        FAULTS: s_axi_rdata <= {31'd0, misplaced};
        3'd4: s_axi_rdata <= sequences;
        3'd5: s_axi_rdata <= cycles;
        3'd6: s_axi_rdata <= CODES;
        default: s_axi_rdata <= {16'(CLASSES), 16'(CODE_BITS)};
      endcase
endmodule
