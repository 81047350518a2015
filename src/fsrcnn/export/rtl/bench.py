"""The self-checking test bench of a chip core: SystemVerilog for any simulator."""

from __future__ import annotations

from fsrcnn.arrays import Int64
from fsrcnn.export.rtl.core import sample_bytes
from fsrcnn.export.rtl.memories import file_name
from fsrcnn.export.rtl.plan import Plan
from fsrcnn.integer import IntegerModel

PASSED = "PASSED"
"""In the last line that the bench prints, where every layer and every frame were right."""


def bench(model: IntegerModel, plan: Plan, frames: dict[str, Int64]) -> str:
    """The text of `fsrcnn_core_tb.sv`: it sends the frames one after another, and compares every layer and every pixel.

    Args:
        model, plan: of the core.
        frames: of its vectors.
    """
    pixels = sum(frame.size for frame in frames.values())
    scale = plan.architecture.scale
    stages = [
        (file_name(layer.name), layer.outputs * model.feature_bits)
        for layer in plan.layers
        if layer.name != "deconvolution"
    ]
    memories = "".join(f"    reg [{bits - 1}:0] expected_{name} [0:PIXELS-1];\n" for name, bits in stages)
    reads = "".join(f'        $readmemh("vectors/{name}.mem", expected_{name});\n' for name, _ in stages)
    checks = "".join(_CHECK.format(name=name) for name, _ in stages)
    counts = "".join(f" && seen_{name} == PIXELS" for name, _ in stages)
    bits = 8 * sample_bytes(plan.depth)
    return _BENCH.format(
        frames=len(frames), pixels=pixels, outputs=pixels * scale**2, scale=scale, depth=plan.depth, bits=bits, beat=plan.pixels,
        timeout=200 * pixels * plan.cycles + 100_000, memories=memories, reads=reads, checks=checks, counts=counts, passed=PASSED,
    )  # fmt: skip


_CHECK = """
    integer seen_{name} = 0;
    always @(posedge clk) begin
        if (!rst && core.{name}_valid && core.{name}_ready) begin
            if (seen_{name} >= PIXELS || core.{name} !== expected_{name}[seen_{name}]) begin
                if (wrong < 10) $display("{name}: LR pixel %0d is %h, not %h", seen_{name}, core.{name}, expected_{name}[seen_{name}]);
                wrong = wrong + 1;
            end
            seen_{name} = seen_{name} + 1;
        end
    end
"""

_BENCH = """\
// Sends the frames of vectors/ to the core, one after another, and compares what every layer and the core give with the integer model.
// Either side stands still in +stalls=N of 8 cycles, at random (2 where nothing is said); +seed=N draws others.
//
//   $ verilator --binary --timing -Wno-fatal --Mdir ../obj_dir --top-module fsrcnn_core_tb *.sv *.v && ../obj_dir/Vfsrcnn_core_tb
`timescale 1ns / 1ps
/* verilator lint_off WIDTH */
module fsrcnn_core_tb;
    localparam FRAMES  = {frames};
    localparam PIXELS  = {pixels};   // LR, of all frames
    localparam OUTPUTS = {outputs};  // HR
    localparam SCALE   = {scale};
    localparam DEPTH   = {depth};
    localparam BITS    = {bits};
    localparam BEAT    = {beat};     // HR pixels in a beat
    localparam TIMEOUT = {timeout};  // cycles

    reg [31:0]      frames [0:FRAMES-1];  // height, width
    reg [DEPTH-1:0] inputs [0:PIXELS-1];
    reg [DEPTH-1:0] outputs [0:OUTPUTS-1];
{memories}
    reg     clk = 1'b0;
    reg     rst = 1'b1;
    integer stalls = 2;
    integer seed   = 1, out_seed, in_draw, out_draw;
    integer wrong  = 0;
    integer cycles = 0;
    always #5 clk = !clk;
    initial begin
        $readmemh("vectors/frames.mem", frames);
        $readmemh("vectors/input.mem", inputs);
        $readmemh("vectors/output.mem", outputs);
{reads}        if (!$value$plusargs("stalls=%d", stalls)) stalls = 2;
        if (!$value$plusargs("seed=%d", seed)) seed = 1;
        out_seed = seed + 1;
        repeat (4) @(negedge clk);
        rst = 1'b0;
    end

    reg  [15:0]          width, height;
    reg                  s_axis_tvalid = 1'b0;
    reg                  s_axis_tlast, s_axis_tuser;
    reg  [BITS-1:0]      s_axis_tdata;
    wire                 s_axis_tready, m_axis_tvalid, m_axis_tlast, m_axis_tuser, error;
    reg                  m_axis_tready = 1'b0;
    wire [BEAT*BITS-1:0] m_axis_tdata;
    wire [BEAT-1:0]      m_axis_tkeep;
    fsrcnn_core core (
        .clk(clk), .rst(rst), .width(width), .height(height),
        .s_axis_tvalid(s_axis_tvalid), .s_axis_tready(s_axis_tready), .s_axis_tdata(s_axis_tdata), .s_axis_tlast(s_axis_tlast),
        .s_axis_tuser(s_axis_tuser), .m_axis_tvalid(m_axis_tvalid), .m_axis_tready(m_axis_tready), .m_axis_tdata(m_axis_tdata),
        .m_axis_tkeep(m_axis_tkeep), .m_axis_tlast(m_axis_tlast), .m_axis_tuser(m_axis_tuser), .error(error)
    );

    // Into the core.
    integer      sent = 0, frame = 0, row = 0, column = 0;
    wire  [15:0] frame_width  = frames[frame][15:0];
    wire  [15:0] frame_height = frames[frame][31:16];
    always @(posedge clk) begin
        in_draw = $random(seed);
        if (!rst && (!s_axis_tvalid || s_axis_tready)) begin
            if (sent < PIXELS && (in_draw & 7) >= stalls) begin
                s_axis_tvalid <= 1'b1;
                s_axis_tdata  <= inputs[sent];
                s_axis_tuser  <= row == 0 && column == 0;
                s_axis_tlast  <= column == frame_width - 1;
                width         <= frame_width;
                height        <= frame_height;
                sent          <= sent + 1;
                column        <= column == frame_width - 1 ? 0 : column + 1;
                if (column == frame_width - 1) begin
                    row <= row == frame_height - 1 ? 0 : row + 1;
                    if (row == frame_height - 1 && frame < FRAMES - 1) frame <= frame + 1;
                end
            end else begin
                s_axis_tvalid <= 1'b0;
            end
        end
    end
{checks}
    // Out of the core. What waits must not change.
    integer received = 0, from = 0, out_row = 0, out_column = 0, i;
    reg     waits = 1'b0;
    reg  [BEAT*BITS+BEAT+1:0] waiting;
    wire [BEAT*BITS+BEAT+1:0] offered = {{m_axis_tdata, m_axis_tkeep, m_axis_tlast, m_axis_tuser}};
    always @(posedge clk) begin
        cycles <= cycles + 1;
        out_draw = $random(out_seed);
        m_axis_tready <= (out_draw & 7) >= stalls;
        if (!rst) begin
            if (waits && (!m_axis_tvalid || offered !== waiting)) begin
                $display("the output changed while it waited");
                wrong = wrong + 1;
            end
            waits   <= m_axis_tvalid && !m_axis_tready;
            waiting <= offered;
            if (m_axis_tvalid && m_axis_tready) begin
                if (m_axis_tuser !== (out_row == 0 && out_column == 0)) begin
                    $display("tuser is %b at HR pixel %0d", m_axis_tuser, received);
                    wrong = wrong + 1;
                end
                for (i = 0; i < BEAT; i = i + 1) begin
                    if (m_axis_tkeep[i]) begin
                        if (received >= OUTPUTS || m_axis_tdata[i*BITS +: BITS] !== outputs[received]) begin
                            if (wrong < 10)
                                $display("HR pixel %0d is %0d, not %0d", received, m_axis_tdata[i*BITS +: BITS], outputs[received]);
                            wrong = wrong + 1;
                        end
                        received   = received + 1;
                        out_column = out_column + 1;
                    end
                end
                if (m_axis_tlast !== (out_column == SCALE * frames[from][15:0])) begin
                    $display("tlast is %b behind HR pixel %0d", m_axis_tlast, received);
                    wrong = wrong + 1;
                end
                if (m_axis_tlast) begin
                    out_column = 0;
                    out_row    = out_row + 1;
                    if (out_row == SCALE * frames[from][31:16]) begin
                        out_row = 0;
                        from    = from + 1;
                    end
                end
            end
            if (error) begin
                $display("the core reports an error");
                wrong = wrong + 1;
            end
        end
        if (received >= OUTPUTS || cycles > TIMEOUT || wrong >= 1000) begin
            if (wrong == 0 && received == OUTPUTS{counts}) begin
                $display("{passed}: %0d frames, %0d LR pixels, all layers, %0d cycles", FRAMES, PIXELS, cycles);
                $finish;
            end else begin
                $display("FAILED: %0d mistakes, %0d of %0d HR pixels, %0d cycles", wrong, received, OUTPUTS, cycles);
                $fatal(1);
            end
        end
    end
endmodule
/* verilator lint_on WIDTH */
"""
