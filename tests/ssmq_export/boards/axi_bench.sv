// ssmq_axi around an accelerator whose logits are the last three of six codes, two a step.
module axi_bench (
    input  wire        clk,
    input  wire        rst,
    input  wire        axis_valid,
    output wire        axis_ready,
    input  wire [ 7:0] axis_data,
    input  wire        axis_last,
    output wire        class_valid,
    input  wire        class_ready,
    output wire [63:0] class_data,
    output wire        class_last,
    // What the accelerator is given.
    output wire        given_valid,
    output wire [ 4:0] given_data,
    output wire        given_last,
    // {classes to wait for, write, address, data} -> what was read.
    input  wire        access_valid,
    output wire        access_ready,
    input  wire [41:0] access_data,
    output wire        read_valid,
    input  wire        read_ready,
    output wire [31:0] read_data
);
  wire halted, code_valid, code_ready, logit_valid, logit_ready, bvalid;
  wire awready, wready, arready;
  wire [1:0] bresp, rresp;
  logic [2:0] seen, left;
  logic [14:0] codes;
  wire due = access_valid & ({1'b0, seen} >= access_data[41:38]);
  wire write = access_data[37];
  ssmq_axi #(
      .CODE_BITS(5),
      .CODES(6),
      .CHANNELS(2),
      .CLASSES(3),
      .LOGIT_BITS(5),
      .IDENTITY(32'hdeadbeef)
  ) axi (
      .aclk(clk),
      .aresetn(~rst),
      .s_axis_tvalid(axis_valid),
      .s_axis_tready(axis_ready),
      .s_axis_tdata(axis_data),
      .s_axis_tlast(axis_last),
      .m_axis_tvalid(class_valid),
      .m_axis_tready(class_ready),
      .m_axis_tdata(class_data),
      .m_axis_tlast(class_last),
      .s_axi_awvalid(due & write),
      .s_axi_awready(awready),
      .s_axi_awaddr(access_data[36:32]),
      .s_axi_wvalid(due & write),
      .s_axi_wready(wready),
      .s_axi_wdata(access_data[31:0]),
      .s_axi_bvalid(bvalid),
      .s_axi_bready(1'b1),
      .s_axi_bresp(bresp),
      .s_axi_arvalid(due & ~write),
      .s_axi_arready(arready),
      .s_axi_araddr(access_data[36:32]),
      .s_axi_rvalid(read_valid),
      .s_axi_rready(read_ready),
      .s_axi_rdata(read_data),
      .s_axi_rresp(rresp),
      .rst(halted),
      .code_data(given_data),
      .code_last(given_last),
      .logit_data(codes[4:0]),
      .*
  );
  assign access_ready = due & (write ? awready : arready);
  assign given_valid  = code_valid & code_ready;
  assign code_ready   = ~logit_valid;
  assign logit_valid  = left[2];
  wire unused = &{1'b0, bvalid, wready, bresp, rresp};

  // Two of the three that are left are counted in the low bits.
  logic [2:0] count;
  always_ff @(posedge clk)
    if (halted) begin
      count <= '0;
      left  <= '0;
    end else if (given_valid) begin
      count <= count == 3'd5 ? '0 : count + 1'b1;
      codes <= {given_data, codes[14:5]};
      if (count == 3'd5) left <= 3'b110;
    end else if (logit_valid & logit_ready) begin
      codes <= codes >> 5;
      left  <= left[1:0] == 2'd0 ? '0 : left - 1'b1;
    end

  always_ff @(posedge clk)
    if (rst) seen <= '0;
    else if (class_valid & class_ready) seen <= seen + 1'b1;
endmodule
