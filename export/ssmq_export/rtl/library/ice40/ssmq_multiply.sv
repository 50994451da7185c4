// As ../ssmq_multiply.sv, for Lattice iCE40 UltraPlus: SB_MAC16 with the registers of its inputs, of its four products and
// of their sum, where both factors fit into 16 bits. STYLE 1: LUTs. What is wider is left to the tool.
module ssmq_multiply #(
    parameter int A_BITS = 8,
    parameter int B_BITS = 8,
    parameter int STYLE  = 0
) (
    input  wire                      clk,
    input  wire                      en,
    input  wire  [       A_BITS-1:0] a,
    input  wire  [       B_BITS-1:0] b,
    output wire  [A_BITS+B_BITS-1:0] product
);
  localparam int PB = A_BITS + B_BITS;
  if (STYLE == 0 && A_BITS <= 16 && B_BITS <= 16) begin : g_block
    wire [15:0] x = {{17 - A_BITS{a[A_BITS-1]}}, a[A_BITS-2:0]};
    wire [15:0] y = {{17 - B_BITS{b[B_BITS-1]}}, b[B_BITS-2:0]};
    wire [31:0] p;
    assign product = p[PB-1:0];
    SB_MAC16 #(
        .A_REG(1'b1),
        .B_REG(1'b1),
        .TOP_8x8_MULT_REG(1'b1),
        .BOT_8x8_MULT_REG(1'b1),
        .PIPELINE_16x16_MULT_REG1(1'b1),
        .PIPELINE_16x16_MULT_REG2(1'b1),
        .TOPOUTPUT_SELECT(2'b11),
        .BOTOUTPUT_SELECT(2'b11),
        .A_SIGNED(1'b1),
        .B_SIGNED(1'b1)
    ) block (
        .CLK(clk), .CE(en), .A(x), .B(y), .C(16'b0), .D(16'b0), .O(p),
        .AHOLD(1'b0), .BHOLD(1'b0), .CHOLD(1'b0), .DHOLD(1'b0),
        .IRSTTOP(1'b0), .IRSTBOT(1'b0), .ORSTTOP(1'b0), .ORSTBOT(1'b0),
        .OLOADTOP(1'b0), .OLOADBOT(1'b0), .ADDSUBTOP(1'b0), .ADDSUBBOT(1'b0),
        .OHOLDTOP(1'b0), .OHOLDBOT(1'b0), .CI(1'b0), .ACCUMCI(1'b0), .SIGNEXTIN(1'b0)
    );
  end else begin : g_held
    logic signed [A_BITS-1:0] a_held;
    logic signed [B_BITS-1:0] b_held;
    always_ff @(posedge clk) if (en) {a_held, b_held} <= {a, b};
    if (STYLE == 0) begin : g_inferred
      logic [PB-1:0] first, second;
      assign product = second;
      always_ff @(posedge clk)
        if (en) begin
          first  <= a_held * b_held;
          second <= first;
        end
    end else begin : g_rows
      ssmq_rows #(
          .A_BITS(A_BITS),
          .B_BITS(B_BITS)
      ) rows (
          .a(a_held),
          .b(b_held),
          .*
      );
    end
  end
endmodule
