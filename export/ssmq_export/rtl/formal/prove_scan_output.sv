// A head's output for every state and input: GROUPS times MODES modes with the words {c_im, c_re} a mode of memory.mem, and
// D times the input. With pauses between groups. The sum fits into OUT_BITS after each group.
// Sums are added up from the states themselves, so that they are right in any state that an induction begins with.
module prove_scan_output #(
    parameter int MODES = 2,
    parameter int GROUPS = 2,
    parameter int STATE_BITS = 2,
    parameter int IN_BITS = 2,
    parameter int C_BITS = 2,
    parameter int D_BITS = 2,
    parameter int D = 1,
    parameter int OUT_BITS = 6
) (
    input wire                          clk,
    input wire                          rst,
    input wire                          given,
    input wire [2*MODES*STATE_BITS-1:0] states,
    input wire [           IN_BITS-1:0] code
);
  localparam int LATENCY = 4 + $clog2(MODES);
  localparam int DB = IN_BITS + D_BITS;
  localparam int SB = 2 * MODES * STATE_BITS;
  logic [2*MODES*C_BITS-1:0] memory[0:GROUPS-1];
  initial $readmemh("memory.mem", memory);

  // The groups of this step that have come, and its input.
  logic [7:0] group;
  logic [GROUPS*SB-1:0] came;
  logic [IN_BITS-1:0] of_step;
  wire [IN_BITS-1:0] input_code = group == 0 ? code : of_step;
  wire signed [31:0] u;
  formal_integer #(.BITS(IN_BITS), .WIDE(32)) of_u (.code(input_code), .value(u));
  wire signed [31:0] skip = D * u;
  wire [32*GROUPS*MODES-1:0] terms;
  for (genvar k = 0; k < GROUPS; k++) begin : g_group
    wire [SB-1:0] x = k == group ? states : came[k*SB+:SB];
    wire [2*MODES*C_BITS-1:0] c = memory[k];
    for (genvar mode = 0; mode < MODES; mode++) begin : g_mode
      wire signed [31:0] xr, xi, cr, ci;
      formal_integer #(.BITS(STATE_BITS), .WIDE(32)) of_xr (.code(x[2*mode*STATE_BITS+:STATE_BITS]), .value(xr));
      formal_integer #(.BITS(STATE_BITS), .WIDE(32)) of_xi (.code(x[(2*mode+1)*STATE_BITS+:STATE_BITS]), .value(xi));
      formal_integer #(.BITS(C_BITS), .WIDE(32)) of_cr (.code(c[2*mode*C_BITS+:C_BITS]), .value(cr));
      formal_integer #(.BITS(C_BITS), .WIDE(32)) of_ci (.code(c[(2*mode+1)*C_BITS+:C_BITS]), .value(ci));
      wire signed [31:0] term = cr * xr - ci * xi;
      assign terms[32*(k*MODES+mode)+:32] = k <= group ? term : 0;
    end
  end
  logic signed [31:0] exact;
  always_comb begin
    exact = skip;
    for (int i = 0; i < GROUPS * MODES; i++) exact = exact + terms[32*i+:32];
  end

  // What goes into the sum LATENCY cycles later, and what it is from then on.
  logic [LATENCY-1:0] valid, first;
  logic [LATENCY*DB-1:0] direct;
  logic [OUT_BITS-1:0] latest;
  logic [(LATENCY+1)*OUT_BITS-1:0] expected;
  logic begun;
  logic [LATENCY:0] there;
  wire [OUT_BITS-1:0] y;
  wire [OUT_BITS-1:0] now = given ? exact[OUT_BITS-1:0] : latest;
  always_ff @(posedge clk) begin
    first <= {first, group == 0};
    direct <= {direct, skip[DB-1:0]};
    latest <= now;
    expected <= {expected, now};
    if (given) came[group*SB+:SB] <= states;
    of_step <= input_code;
    if (rst) {group, valid, begun, there} <= '0;
    else begin
      begun <= begun | given;
      valid <= {valid, given};
      there <= {there, begun | given};
      if (given) group <= group == GROUPS - 1 ? 0 : group + 1;
    end
  end
  ssmq_scan_output #(.MODES(MODES), .STATE_BITS(STATE_BITS), .C_BITS(C_BITS), .D_BITS(DB), .OUT_BITS(OUT_BITS)) dut (
      .weights(memory[group]), .valid(valid[LATENCY-1]), .first(first[LATENCY-1]), .direct(direct[LATENCY*DB-1-:DB]), .*);

  // Of the groups that have come, if the step is not over.
  wire [32*GROUPS*MODES-1:0] earlier;
  for (genvar i = 0; i < GROUPS * MODES; i++) begin : g_earlier
    assign earlier[32*i+:32] = i / MODES < group ? terms[32*i+:32] : 0;
  end
  logic signed [31:0] sum;
  always_comb begin
    sum = skip;
    for (int i = 0; i < GROUPS * MODES; i++) sum = sum + earlier[32*i+:32];
  end
  always_comb
    if (~rst) begin
      assert_group : assert (group < GROUPS & (group == 0 | begun));
      if (group != 0) assert_latest : assert (latest == sum[OUT_BITS-1:0]);
      if (there[LATENCY]) assert_later : assert (y == expected[(LATENCY+1)*OUT_BITS-1-:OUT_BITS]);
    end
  formal_reset resets (.*);
  formal_fits #(.BITS(OUT_BITS), .WIDE(32)) fits (.valid(given & ~rst), .value(exact));
endmodule
