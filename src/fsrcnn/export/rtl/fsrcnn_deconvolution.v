// The deconvolution (Dong et al. 2016, section 3.2) as SCALE * SCALE phase convolutions in LR time: products with the features of one
// pixel, its stamp, overlapped with those of its neighbours. In go pixels of CHANNELS features, out blocks of SCALE x SCALE levels.
/* verilator lint_off WIDTH */  // parameters are numbers of 32 bits; numbers with sign are widened by assignment
/* verilator lint_off PINCONNECTEMPTY */
module fsrcnn_deconvolution #(
    parameter KERNEL       = 9,
    parameter CHANNELS     = 56,
    parameter SCALE        = 2,
    parameter FRONT        = 1,
    parameter TILES        = 5,
    parameter BEYOND       = 2,
    parameter WIDTH        = 960,
    parameter LANES        = 4,
    parameter TAP_STEPS    = 14,
    parameter PARALLEL     = 27,
    parameter OUTPUT_STEPS = 3,
    parameter UNITS        = 1,   // multipliers of the last requantising
    parameter STEPS        = 4,   // UNITS * STEPS >= SCALE * SCALE
    parameter IN_BITS      = 12,
    parameter KERNEL_BITS  = 12,
    parameter SUM_BITS     = 29,
    parameter BEFORE       = 4,
    parameter AFTER        = 25,
    parameter KERNELS      = "",
    parameter NO_BIASES    = "",  // a stamp has none, for several lie upon each other
    parameter BIASES       = "",
    parameter MULTIPLIERS  = ""
) (
    input  wire                        clk,
    input  wire                        rst,
    input  wire                        in_valid,
    output wire                        in_ready,
    input  wire [CHANNELS*IN_BITS-1:0] in_pixel,
    input  wire                        in_last_column,
    input  wire                        in_last_row,
    output wire                        out_valid,
    input  wire                        out_ready,
    output wire [SCALE*SCALE*10-1:0]   out_block,  // level SCALE*y + x, the first at the low end
    output wire                        out_last_column,
    output wire                        out_last_row
);
    localparam OUTPUTS    = KERNEL * KERNEL;
    localparam GROUP_BITS = OUTPUT_STEPS > 1 ? $clog2(OUTPUT_STEPS) : 1;

    wire                         sums_valid, sums_last_column, sums_last_row;
    wire [GROUP_BITS-1:0]        group;
    wire [PARALLEL*SUM_BITS-1:0] sums;
    reg                          stamp_valid, stamp_last_column, stamp_last_row;
    wire                         stamp_ready;
    wire [OUTPUTS*SUM_BITS-1:0]  stamp;
    wire                         enable = !stamp_valid || stamp_ready;
    fsrcnn_products #(
        .TAPS(CHANNELS), .LANES(LANES), .TAP_STEPS(TAP_STEPS), .PARALLEL(PARALLEL), .OUTPUT_STEPS(OUTPUT_STEPS),
        .TAP_BITS(IN_BITS), .KERNEL_BITS(KERNEL_BITS), .SUM_BITS(SUM_BITS), .KERNELS(KERNELS), .BIASES(NO_BIASES)
    ) multipliers (
        .clk(clk), .rst(rst), .enable(enable),
        .in_valid(in_valid), .in_ready(in_ready), .in_taps(in_pixel),
        .in_last_column(in_last_column), .in_last_row(in_last_row),
        .out_valid(sums_valid), .out_group(group), .out_sums(sums),
        .out_last_column(sums_last_column), .out_last_row(sums_last_row)
    );
    genvar i;
    generate
        for (i = 0; i < OUTPUTS; i = i + 1) begin : stamps
            reg [SUM_BITS-1:0] sum;
            always @(posedge clk) begin
                if (enable && sums_valid && group == i / PARALLEL) sum <= sums[(i%PARALLEL)*SUM_BITS +: SUM_BITS];
            end
            assign stamp[i*SUM_BITS +: SUM_BITS] = sum;
        end
    endgenerate
    always @(posedge clk) begin
        if (rst) stamp_valid <= 1'b0;
        else if (enable) stamp_valid <= sums_valid && group == OUTPUT_STEPS - 1;
        if (enable) begin
            stamp_last_column <= sums_last_column;
            stamp_last_row    <= sums_last_row;
        end
    end

    wire                            total_valid, total_ready, total_last_column, total_last_row;
    wire [SCALE*SCALE*SUM_BITS-1:0] totals;
    fsrcnn_overlap #(
        .KERNEL(KERNEL), .SCALE(SCALE), .FRONT(FRONT), .TILES(TILES), .BEYOND(BEYOND), .WIDTH(WIDTH), .SUM_BITS(SUM_BITS), .BIASES(BIASES)
    ) overlap (
        .clk(clk), .rst(rst),
        .in_valid(stamp_valid), .in_ready(stamp_ready), .in_stamp(stamp),
        .in_last_column(stamp_last_column), .in_last_row(stamp_last_row),
        .out_valid(total_valid), .out_ready(total_ready), .out_sums(totals),
        .out_last_column(total_last_column), .out_last_row(total_last_row)
    );

    wire                      block_valid, block_ready, block_last_column, block_last_row;
    wire [SCALE*SCALE*10-1:0] block;
    fsrcnn_requantise #(
        .OUTPUTS(SCALE*SCALE), .PARALLEL(SCALE*SCALE), .STEPS(STEPS), .UNITS(UNITS), .SUM_BITS(SUM_BITS),
        .BEFORE(BEFORE), .AFTER(AFTER), .OUT_BITS(10), .LUMA(1), .MULTIPLIERS(MULTIPLIERS)
    ) levels (
        .clk(clk), .rst(rst), .enable(),
        .in_valid(total_valid), .in_ready(total_ready), .in_sums(totals),
        .in_last_column(total_last_column), .in_last_row(total_last_row),
        .out_valid(block_valid), .out_ready(block_ready), .out_pixel(block),
        .out_last_column(block_last_column), .out_last_row(block_last_row)
    );

    fsrcnn_buffer #(.BITS(2 + SCALE * SCALE * 10)) buffer (
        .clk(clk), .rst(rst),
        .in_valid(block_valid), .in_ready(block_ready), .in_data({block_last_row, block_last_column, block}),
        .out_valid(out_valid), .out_ready(out_ready), .out_data({out_last_row, out_last_column, out_block})
    );
endmodule
