// a * b, signed, in three cycles: STYLE 0 in a multiplier of the device, STYLE 1 in LUTs, whichever family's.
module ssmq_times #(
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
  if (STYLE == 0) begin : g_device
    ssmq_multiply #(
        .A_BITS(A_BITS),
        .B_BITS(B_BITS)
    ) multiply (
        .*
    );
  end else begin : g_luts
    // Held first: factors come from memories, which are far away.
    logic [A_BITS-1:0] a_held;
    logic [B_BITS-1:0] b_held;
    always_ff @(posedge clk) if (en) {a_held, b_held} <= {a, b};
    ssmq_rows #(
        .A_BITS(A_BITS),
        .B_BITS(B_BITS)
    ) rows (
        .a(a_held),
        .b(b_held),
        .*
    );
  end
endmodule
