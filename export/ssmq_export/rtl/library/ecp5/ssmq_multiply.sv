// As ../ssmq_multiply.sv, for Lattice ECP5: MULT18X18D with all of its registers, where both factors fit into 18 bits.
// STYLE 1: LUTs. What is wider is left to the tool.
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
  if (STYLE == 0 && A_BITS <= 18 && B_BITS <= 18) begin : g_block
    wire [17:0] x = {{19 - A_BITS{a[A_BITS-1]}}, a[A_BITS-2:0]};
    wire [17:0] y = {{19 - B_BITS{b[B_BITS-1]}}, b[B_BITS-2:0]};
    wire [35:0] p;
    assign product = p[PB-1:0];
    MULT18X18D #(
        .REG_INPUTA_CLK("CLK0"),
        .REG_INPUTA_CE("CE0"),
        .REG_INPUTA_RST("RST0"),
        .REG_INPUTB_CLK("CLK0"),
        .REG_INPUTB_CE("CE0"),
        .REG_INPUTB_RST("RST0"),
        .REG_PIPELINE_CLK("CLK0"),
        .REG_PIPELINE_CE("CE0"),
        .REG_PIPELINE_RST("RST0"),
        .REG_OUTPUT_CLK("CLK0"),
        .REG_OUTPUT_CE("CE0"),
        .REG_OUTPUT_RST("RST0")
    ) block (
        .A0(x[0]), .A1(x[1]), .A2(x[2]), .A3(x[3]), .A4(x[4]), .A5(x[5]),
        .A6(x[6]), .A7(x[7]), .A8(x[8]), .A9(x[9]), .A10(x[10]), .A11(x[11]),
        .A12(x[12]), .A13(x[13]), .A14(x[14]), .A15(x[15]), .A16(x[16]), .A17(x[17]),
        .B0(y[0]), .B1(y[1]), .B2(y[2]), .B3(y[3]), .B4(y[4]), .B5(y[5]),
        .B6(y[6]), .B7(y[7]), .B8(y[8]), .B9(y[9]), .B10(y[10]), .B11(y[11]),
        .B12(y[12]), .B13(y[13]), .B14(y[14]), .B15(y[15]), .B16(y[16]), .B17(y[17]),
        .P0(p[0]), .P1(p[1]), .P2(p[2]), .P3(p[3]), .P4(p[4]), .P5(p[5]),
        .P6(p[6]), .P7(p[7]), .P8(p[8]), .P9(p[9]), .P10(p[10]), .P11(p[11]),
        .P12(p[12]), .P13(p[13]), .P14(p[14]), .P15(p[15]), .P16(p[16]), .P17(p[17]),
        .P18(p[18]), .P19(p[19]), .P20(p[20]), .P21(p[21]), .P22(p[22]), .P23(p[23]),
        .P24(p[24]), .P25(p[25]), .P26(p[26]), .P27(p[27]), .P28(p[28]), .P29(p[29]),
        .P30(p[30]), .P31(p[31]), .P32(p[32]), .P33(p[33]), .P34(p[34]), .P35(p[35]),
        .SIGNEDA(1'b1),
        .SIGNEDB(1'b1),
        .SOURCEA(1'b0),
        .SOURCEB(1'b0),
        .CLK0(clk),
        .CE0(en),
        .RST0(1'b0)
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
