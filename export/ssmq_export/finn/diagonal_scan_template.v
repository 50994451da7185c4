// A DiagonalScan for FINN: $HEADS$ heads of $MODES$ modes, $HEAD_LANES$ heads and $MODE_LANES$ modes of each at once.
// FINN's streams have no flag for the last step of a sequence: it is counted, $STEPS$ steps of $BEATS$ beats.
module $TOP$ (
    (* X_INTERFACE_PARAMETER = "ASSOCIATED_BUSIF in0_V:out0_V, ASSOCIATED_RESET ap_rst_n" *)
    (* X_INTERFACE_INFO = "xilinx.com:signal:clock:1.0 ap_clk CLK" *)
    input  wire ap_clk,
    (* X_INTERFACE_PARAMETER = "POLARITY ACTIVE_LOW" *)
    input  wire ap_rst_n,
    input  wire in0_V_TVALID,
    output wire in0_V_TREADY,
    input  wire $IN_PADDED$ in0_V_TDATA,
    output wire out0_V_TVALID,
    input  wire out0_V_TREADY,
    output wire $OUT_PADDED$ out0_V_TDATA
);
  wire rst = ~ap_rst_n;
  wire $PLACE$ place;
  wire $OUT$ data;
  wire out_last;
  wire unused = &{1'b0, place, out_last, in0_V_TDATA};
  assign out0_V_TDATA = $OUT_DATA$;

  ssmq_counter #(
      .COUNT($PLACES$)
  ) places (
      .clk(ap_clk),
      .rst(rst),
      .next(in0_V_TVALID & in0_V_TREADY),
      .count(place)
  );

  ssmq_scan #(
$PARAMETERS$
  ) core (
      .clk(ap_clk),
      .rst(rst),
      .in_valid(in0_V_TVALID),
      .in_ready(in0_V_TREADY),
      .in_data(in0_V_TDATA$IN$),
      .in_last($LAST$),
      .out_valid(out0_V_TVALID),
      .out_ready(out0_V_TREADY),
      .out_data(data),
      .out_last(out_last)
  );
endmodule
