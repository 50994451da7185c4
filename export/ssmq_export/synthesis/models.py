"""Cells that Yosys describes by their ports alone, as Verilog that simulates: block RAMs and multipliers.

They do what the netlists of the library ask of them, in the modes in which Yosys and our own passes use them.
"""

from __future__ import annotations

from pathlib import Path

BLOCK_RAM = Path(__file__).with_name("block_ram.v")
HEX = [f"{index:02X}" for index in range(64)]


def _scalars(prefix: str, width: int) -> str:
    return ", ".join(f"{prefix}{bit}" for bit in range(width))


def _joined(prefix: str, width: int) -> str:
    return "{" + ", ".join(f"{prefix}{bit}" for bit in reversed(range(width))) + "}"


def _ecp5_ram() -> str:
    ports = []
    for side in "AB":
        ports.append(f"input {_scalars(f'DI{side}', 18)}, {_scalars(f'AD{side}', 14)}")
        ports.append(f"input CE{side}, OCE{side}, CLK{side}, WE{side}, RST{side}, {_scalars(f'CS{side}', 3)}")
        ports.append(f"output {_scalars(f'DO{side}', 18)}")
    inits = "".join(f", parameter [319:0] INITVAL_{index} = 0" for index in HEX)
    # A slice holds 16 words of 18 bits in fields of 20.
    words = [f"INITVAL_{HEX[word // 16]}[{word % 16 * 20}+:18]" for word in reversed(range(1024))]
    return f"""
module DP16KD #(
    parameter DATA_WIDTH_A = 18, DATA_WIDTH_B = 18, REGMODE_A = "NOREG", REGMODE_B = "NOREG", RESETMODE = "SYNC",
    parameter ASYNC_RESET_RELEASE = "SYNC", CSDECODE_A = "0b000", CSDECODE_B = "0b000", CLKAMUX = "CLKA", CLKBMUX = "CLKB",
    parameter WRITEMODE_A = "NORMAL", WRITEMODE_B = "NORMAL", GSR = "AUTO"{inits}
) ({", ".join(ports)});
  // 36 bits are the data of both sides.
  wire [35:0] a_out, b_out;
  wire [17:0] given_b = {_joined("DIB", 18)};
  assign {_joined("DOA", 18)} = DATA_WIDTH_B == 36 ? b_out[17:0] : a_out[17:0];
  assign {_joined("DOB", 18)} = DATA_WIDTH_B == 36 ? b_out[35:18] : b_out[17:0];
  ssmq_block_ram #(
      .A_WIDTH(DATA_WIDTH_A), .B_WIDTH(DATA_WIDTH_B), .A_HELD(REGMODE_A == "OUTREG"), .B_HELD(REGMODE_B == "OUTREG"),
      .INIT({{{", ".join(words)}}})
  ) ram (
      .a_clk(CLKA), .a_on(CEA), .a_write(WEA), .a_held(OCEA), .a_address({_joined("ADA", 14)}),
      .a_mask({{ADA3, ADA2, ADA1, ADA0}}), .a_in({{given_b, {_joined("DIA", 18)}}}), .a_out(a_out),
      .b_clk(CLKB), .b_on(CEB), .b_write(WEB), .b_held(OCEB), .b_address({_joined("ADB", 14)}),
      .b_mask({{ADB3, ADB2, ADB1, ADB0}}), .b_in({{18'b0, given_b}}), .b_out(b_out)
  );
endmodule
"""


def _ecp5_multiplier() -> str:
    stages = ("INPUTA", "INPUTB", "PIPELINE", "OUTPUT")
    settings = ", ".join(f'REG_{stage}_CLK = "NONE", REG_{stage}_CE = "CE0", REG_{stage}_RST = "RST0"' for stage in stages)
    held = [f'REG_{stage}_CLK != "NONE"' for stage in stages]
    factors = [_joined(name, 18) for name in "AB"]
    return f"""
module MULT18X18D #(
    parameter {settings},
    parameter GSR = "ENABLED", RESETMODE = "SYNC", SOURCEB_MODE = "B_SHIFT", MULT_BYPASS = "DISABLED"
) (
    input {_scalars("A", 18)}, {_scalars("B", 18)}, {_scalars("C", 18)},
    input SIGNEDA, SIGNEDB, SOURCEA, SOURCEB, CLK0, CLK1, CLK2, CLK3, CE0, CE1, CE2, CE3, RST0, RST1, RST2, RST3,
    output {_scalars("P", 36)}
);
  {_multiplier(18, factors, ["SIGNEDA", "SIGNEDB"], "CLK0", "CE0", held)}
  assign {_joined("P", 36)} = product;
endmodule
"""


def _multiplier(width: int, factors: list[str], signed: list[str], clock: str, enable: str, held: list[str]) -> str:
    """``product`` of two factors, through those registers that are ``held``: of a, of b, behind the product, behind that."""
    return f"""wire [{width - 1}:0] a_in = {factors[0]}, b_in = {factors[1]};
  wire signed [{width}:0] a = {{{signed[0]} & a_in[{width - 1}], a_in}}, b = {{{signed[1]} & b_in[{width - 1}], b_in}};
  reg signed [{width}:0] a_kept, b_kept;
  wire signed [{width}:0] a_used = {held[0]} ? a_kept : a, b_used = {held[1]} ? b_kept : b;
  wire [{2 * width - 1}:0] all = a_used * b_used;
  reg [{2 * width - 1}:0] first, second;
  wire [{2 * width - 1}:0] between = {held[2]} ? first : all;
  wire [{2 * width - 1}:0] product = {held[3]} ? second : between;
  always @(posedge {clock}) if ({enable}) begin
    a_kept <= a;
    b_kept <= b;
    first <= all;
    second <= between;
  end"""


_SINGLE = """
    input CLK, CE, RESET, OCE, WRE, input [13:0] AD, input [2:0] BLKSEL, input [{high}:0] DI, output [{high}:0] DO
);
  wire [35:0] a_out;
  assign DO = {a_out};
  ssmq_block_ram #(.A_WIDTH({width}), .A_HELD(READ_MODE), .INIT({init})) ram (
      .a_clk(CLK), .a_on(CE), .a_write(WRE), .a_held(OCE), .a_address(AD), .a_mask(AD[3:0]), .a_in({DI}), .a_out(a_out),
      .b_clk(1'b0), .b_on(1'b0), .b_write(1'b0), .b_held(1'b0), .b_address(14'b0), .b_mask(4'b0), .b_in(36'b0), .b_out()
"""
_SEMI_DUAL = """
    input CLKA, CEA, RESETA, CLKB, CEB, RESETB, OCE, input [13:0] ADA, ADB, input [2:0] BLKSELA, BLKSELB,
    input [{high}:0] DI, output [{high}:0] DO
);
  wire [35:0] b_out;
  assign DO = {b_out};
  ssmq_block_ram #(.A_WIDTH({width_0}), .B_WIDTH({width_1}), .B_HELD(READ_MODE), .INIT({init})) ram (
      .a_clk(CLKA), .a_on(CEA), .a_write(1'b1), .a_held(1'b0), .a_address(ADA), .a_mask(ADA[3:0]), .a_in({DI}), .a_out(),
      .b_clk(CLKB), .b_on(CEB), .b_write(1'b0), .b_held(OCE), .b_address(ADB), .b_mask(4'b0), .b_in(36'b0), .b_out(b_out)
"""
_DUAL = """
    input CLKA, CEA, RESETA, OCEA, WREA, CLKB, CEB, RESETB, OCEB, WREB, input [13:0] ADA, ADB, input [2:0] BLKSELA, BLKSELB,
    input [{high}:0] DIA, DIB, output [{high}:0] DOA, DOB
);
  wire [35:0] a_out, b_out;
  assign DOA = {a_out};
  assign DOB = {b_out};
  ssmq_block_ram #(
      .A_WIDTH({width_0}), .B_WIDTH({width_1}), .A_HELD(READ_MODE0), .B_HELD(READ_MODE1), .INIT({init})
  ) ram (
      .a_clk(CLKA), .a_on(CEA), .a_write(WREA), .a_held(OCEA), .a_address(ADA), .a_mask(ADA[3:0]), .a_in({DIA}),
      .a_out(a_out),
      .b_clk(CLKB), .b_on(CEB), .b_write(WREB), .b_held(OCEB), .b_address(ADB), .b_mask(ADB[3:0]), .b_in({DIB}),
      .b_out(b_out)
"""
_BOTH = "BIT_WIDTH_0 = 0, BIT_WIDTH_1 = 0, BLK_SEL_0 = 0, BLK_SEL_1 = 0"
# Its parameters, the bytes of its widest word, and what it is made of.
_GOWIN_RAMS = {
    "SP": ("READ_MODE = 0, WRITE_MODE = 0, BIT_WIDTH = 0, BLK_SEL = 0", 4, _SINGLE),
    "SDP": (f"READ_MODE = 0, {_BOTH}", 4, _SEMI_DUAL),
    "DP": (f"READ_MODE0 = 0, READ_MODE1 = 0, WRITE_MODE0 = 0, WRITE_MODE1 = 0, {_BOTH}", 2, _DUAL),
}


def _gowin_ram(name: str, kind: str, byte: int) -> str:
    """``byte``: bits of a byte, 8 or 9."""
    settings, wide, text = _GOWIN_RAMS[kind]
    inits = "".join(f", parameter [{32 * byte - 1}:0] INIT_RAM_{index} = 0" for index in HEX)
    words = [f"INIT_RAM_{HEX[at // 32]}[{at % 32 * byte}+:{byte}]" for at in reversed(range(2048))]
    init = ", ".join(words if byte == 9 else (f"1'b0, {word}" for word in words))

    def of_bytes(bus: str, step: int, pad: str = "") -> str:
        """The bytes of a bus that has one every ``step`` bits."""
        return "{" + ", ".join(f"{pad}{bus}[{step * at}+:{byte}]" for at in reversed(range(wide))) + "}"

    widths = {
        f"width{port}": f"BIT_WIDTH{port} / 8 * 9 + BIT_WIDTH{port} % 8" if byte == 8 else f"BIT_WIDTH{port}"
        for port in ("", "_0", "_1")
    }
    wires = {wire: of_bytes(wire, byte, "1'b0, " if byte == 8 else "") for wire in ("DI", "DIA", "DIB")}
    wires |= {wire: of_bytes(wire, 9) for wire in ("a_out", "b_out")}
    body = text.format(high=wide * byte - 1, init=f"{{{init}}}", **widths, **wires)
    return f'\nmodule {name} #(parameter {settings}, RESET_MODE = "SYNC"{inits}) ({body}  );\nendmodule\n'


def _gowin_multiplier(width: int) -> str:
    held = ["AREG", "BREG", "PIPE_REG", "OUT_REG"]
    return f"""
module MULT{width}X{width} #(
    parameter AREG = 0, BREG = 0, OUT_REG = 0, PIPE_REG = 0, ASIGN_REG = 0, BSIGN_REG = 0, SOA_REG = 0,
    parameter MULT_RESET_MODE = "SYNC"
) (
    input [{width - 1}:0] A, SIA, B, SIB, input ASIGN, BSIGN, ASEL, BSEL, CE, CLK, RESET,
    output [{2 * width - 1}:0] DOUT, output [{width - 1}:0] SOA, SOB
);
  {_multiplier(width, ["A", "B"], ["ASIGN", "BSIGN"], "CLK", "CE", held)}
  assign DOUT = product;
endmodule
"""


def _ice40_ram() -> str:
    """256 words of 16 bits; of a narrower port the address above bit 7 chooses among the bits that it has."""
    inits = "".join(f", parameter [255:0] INIT_{index[1]} = 0" for index in HEX[:16])
    loads = " ".join(f"memory[{word}] = INIT_{HEX[word // 16][1]}[{word % 16 * 16}+:16];" for word in range(256))
    return f"""
module SB_RAM40_4K #(parameter WRITE_MODE = 0, READ_MODE = 0{inits}) (
    output [15:0] RDATA, input RCLK, RCLKE, RE, WCLK, WCLKE, WE, input [10:0] RADDR, WADDR, input [15:0] MASK, WDATA
);
  // The bits of port number p of 2**mode are those whose place, modulo 2**mode, is p; its data are on bits of their own.
  localparam integer WRITTEN = WRITE_MODE == 1 ? 0 : WRITE_MODE == 2 ? 1 : 3;
  localparam integer READ = READ_MODE == 1 ? 0 : READ_MODE == 2 ? 1 : 3;
  reg [15:0] memory[0:255];
  reg [15:0] word;
  reg [2:0] place;
  initial begin {loads} end
  wire [2:0] chosen = WADDR[10:8] & ((1 << WRITE_MODE) - 1);
  wire [15:0] old = memory[WADDR[7:0]];
  reg [15:0] next, shown;
  integer i;
  always @* begin
    next = old;
    for (i = 0; i < 16; i = i + 1)
      if (WRITE_MODE == 0 ? !MASK[i] : i % (1 << WRITE_MODE) == chosen)
        next[i] = WRITE_MODE == 0 ? WDATA[i] : WDATA[i / (1 << WRITE_MODE) * (1 << WRITE_MODE) + WRITTEN];
    shown = word;
    if (READ_MODE != 0) begin
      shown = 0;
      for (i = 0; i < 16; i = i + 1)
        if (i % (1 << READ_MODE) == READ) shown[i] = word[i / (1 << READ_MODE) * (1 << READ_MODE) + place];
    end
  end
  always @(posedge RCLK) if (RCLKE && RE) begin
    word <= memory[RADDR[7:0]];
    place <= RADDR[10:8] & ((1 << READ_MODE) - 1);
  end
  always @(posedge WCLK) if (WCLKE && WE) memory[WADDR[7:0]] <= next;
  assign RDATA = shown;
endmodule
"""


def _xilinx_ram() -> str:
    """A RAMB18E1: either port reads or writes up to 18 bits, or one reads and the other writes 36."""
    inits = "".join(f", parameter [255:0] INIT_{index} = 0" for index in HEX)
    inits += "".join(f", parameter [255:0] INITP_{index} = 0" for index in HEX[:8])
    words = [f"INITP_{HEX[at // 256]}[{at % 256}], INIT_{HEX[at // 32]}[{at % 32 * 8}+:8]" for at in reversed(range(2048))]
    return f"""
module RAMB18E1 #(
    parameter READ_WIDTH_A = 0, READ_WIDTH_B = 0, WRITE_WIDTH_A = 0, WRITE_WIDTH_B = 0, DOA_REG = 0, DOB_REG = 0,
    parameter RAM_MODE = "TDP", WRITE_MODE_A = "READ_FIRST", WRITE_MODE_B = "READ_FIRST",
    parameter [71:0] SRVAL_A = 0, SRVAL_B = 0, INIT_A = 0, INIT_B = 0{inits}
) (
    input CLKARDCLK, CLKBWRCLK, ENARDEN, ENBWREN, REGCEAREGCE, REGCEB, RSTRAMARSTRAM, RSTRAMB, RSTREGARSTREG, RSTREGB,
    input [13:0] ADDRARDADDR, ADDRBWRADDR, input [15:0] DIADI, DIBDI, input [1:0] DIPADIP, DIPBDIP, WEA,
    input [3:0] WEBWE, output [15:0] DOADO, DOBDO, output [1:0] DOPADOP, DOPBDOP
);
  localparam BOTH = RAM_MODE == "SDP";
  wire [17:0] a_in = {{DIPADIP[1], DIADI[15:8], DIPADIP[0], DIADI[7:0]}};
  wire [17:0] b_in = {{DIPBDIP[1], DIBDI[15:8], DIPBDIP[0], DIBDI[7:0]}};
  wire [35:0] a_out, b_out;
  wire [17:0] b_shown = BOTH ? a_out[35:18] : b_out[17:0];
  assign {{DOPADOP[1], DOADO[15:8], DOPADOP[0], DOADO[7:0]}} = a_out[17:0];
  assign {{DOPBDOP[1], DOBDO[15:8], DOPBDOP[0], DOBDO[7:0]}} = b_shown;
  ssmq_block_ram #(
      .A_WIDTH(READ_WIDTH_A > WRITE_WIDTH_A ? READ_WIDTH_A : WRITE_WIDTH_A), .A_HELD(DOA_REG),
      .B_WIDTH(READ_WIDTH_B > WRITE_WIDTH_B ? READ_WIDTH_B : WRITE_WIDTH_B), .B_HELD(DOB_REG), .INIT({{{", ".join(words)}}})
  ) ram (
      .a_clk(CLKARDCLK), .a_on(ENARDEN), .a_write(|WEA), .a_held(REGCEAREGCE), .a_address(ADDRARDADDR),
      .a_mask({{2'b0, WEA}}), .a_in({{18'b0, a_in}}), .a_out(a_out),
      .b_clk(CLKBWRCLK), .b_on(ENBWREN), .b_write(|WEBWE), .b_held(REGCEB), .b_address(ADDRBWRADDR),
      .b_mask(WEBWE), .b_in(BOTH ? {{b_in, a_in}} : {{18'b0, b_in}}), .b_out(b_out)
  );
endmodule
"""


def models_of(family: str) -> str:
    """The cells of ``family`` as Verilog."""
    if family == "ecp5":
        return BLOCK_RAM.read_text() + _ecp5_ram() + _ecp5_multiplier()
    if family == "gowin":
        rams = (
            ("SP", "SP", 8),
            ("SPX9", "SP", 9),
            ("SDPB", "SDP", 8),
            ("SDPX9B", "SDP", 9),
            ("DPB", "DP", 8),
            ("DPX9B", "DP", 9),
        )
        return BLOCK_RAM.read_text() + "".join(_gowin_ram(*ram) for ram in rams) + "".join(map(_gowin_multiplier, (9, 18)))
    return BLOCK_RAM.read_text() + _xilinx_ram() if family == "xilinx" else _ice40_ram()
