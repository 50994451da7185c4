module prove_tree #(
    parameter int COUNT = 3,
    parameter int IN_BITS = 2,
    parameter int OUT_BITS = 4
) (
    input wire                     clk,
    input wire                     en,
    input wire [COUNT*IN_BITS-1:0] terms
);
  wire [OUT_BITS-1:0] sum;
  logic signed [15:0] exact;
  always_comb begin
    exact = 0;
    for (int i = 0; i < COUNT; i++) exact = exact + {{16 {terms[i*IN_BITS+IN_BITS-1]}}, terms[i*IN_BITS+:IN_BITS]};
  end

  ssmq_tree #(.COUNT(COUNT), .IN_BITS(IN_BITS), .OUT_BITS(OUT_BITS)) dut (.*);
  formal_fits #(.BITS(OUT_BITS)) fits (.valid(1'b1), .value(exact));
  formal_later #(.BITS(OUT_BITS), .CYCLES($clog2(COUNT))) later (.expected(exact[OUT_BITS-1:0]), .found(sum), .*);
endmodule
