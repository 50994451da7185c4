// The sum of COUNT terms, a level of adders a cycle: latency $clog2(COUNT), interval 1.
module ssmq_tree #(
    parameter int COUNT = 4,
    parameter int IN_BITS = 8,
    parameter int OUT_BITS = 10
) (
    input  wire                      clk,
    input  wire                      en,
    input  wire [ COUNT*IN_BITS-1:0] terms,
    output wire [      OUT_BITS-1:0] sum
);
  localparam int LEVELS = $clog2(COUNT);
  // Of level l the first ceil(COUNT / 2**l) sums are used.
  wire [COUNT*OUT_BITS-1:0] sums[0:LEVELS];
  wire unused = &{1'b0, clk, en, sums[LEVELS]};

  for (genvar i = 0; i < COUNT; i++) begin : g_term
    wire signed [IN_BITS-1:0] term = terms[i*IN_BITS+:IN_BITS];
    wire unused_high = &{1'b0, term};
    assign sums[0][i*OUT_BITS+:OUT_BITS] = OUT_BITS'(term);
  end
  for (genvar level = 0; level < LEVELS; level++) begin : g_level
    localparam int GIVEN = (COUNT + (1 << level) - 1) >> level;
    for (genvar i = 0; i < COUNT; i++) begin : g_sum
      logic [OUT_BITS-1:0] both;
      assign sums[level+1][i*OUT_BITS+:OUT_BITS] = both;
      if (2 * i + 1 < GIVEN) begin : g_pair
        always_ff @(posedge clk)
          if (en) both <= sums[level][2*i*OUT_BITS+:OUT_BITS] + sums[level][(2*i+1)*OUT_BITS+:OUT_BITS];
      end else if (2 * i < GIVEN) begin : g_odd
        always_ff @(posedge clk) if (en) both <= sums[level][2*i*OUT_BITS+:OUT_BITS];
      end else begin : g_nothing
        assign both = '0;
      end
    end
  end
  assign sum = sums[LEVELS][OUT_BITS-1:0];
endmodule
