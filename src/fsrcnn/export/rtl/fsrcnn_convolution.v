// A convolution with its PReLU: feature extraction, shrinking, mapping, expanding (Dong et al. 2016, section 3.2).
// In and out go pixels, all channels of one at once, row by row; zero borders; the size is kept.
/* verilator lint_off WIDTH */  // parameters are numbers of 32 bits; numbers with sign are widened by assignment
/* verilator lint_off PINCONNECTEMPTY */
module fsrcnn_convolution #(
    parameter KERNEL       = 3,
    parameter CHANNELS_IN  = 12,
    parameter CHANNELS_OUT = 12,
    parameter WIDTH        = 960,
    parameter LANES        = 108,
    parameter TAP_STEPS    = 1,
    parameter PARALLEL     = 2,
    parameter OUTPUT_STEPS = 6,
    parameter UNITS        = 2,
    parameter IN_BITS      = 12,
    parameter LUMA         = 0,   // 1: what comes in are levels of luma without sign, IN_BITS of them; 8 bits count four times
    parameter OUT_BITS     = 12,
    parameter KERNEL_BITS  = 12,
    parameter SUM_BITS     = 29,
    parameter BEFORE       = 4,
    parameter AFTER        = 23,
    parameter KERNELS      = "",
    parameter BIASES       = "",
    parameter MULTIPLIERS  = ""
) (
    input  wire                             clk,
    input  wire                             rst,
    input  wire                             in_valid,
    output wire                             in_ready,
    input  wire [CHANNELS_IN*IN_BITS-1:0]   in_pixel,
    input  wire                             in_last_column,
    input  wire                             in_last_row,
    output wire                             out_valid,
    input  wire                             out_ready,
    output wire [CHANNELS_OUT*OUT_BITS-1:0] out_pixel,
    output wire                             out_last_column,
    output wire                             out_last_row
);
    localparam TAPS     = KERNEL * KERNEL * CHANNELS_IN;
    localparam TAP_BITS = LUMA ? 11 : IN_BITS;

    wire                    window_valid, window_ready, window_last_column, window_last_row;
    wire [TAPS*IN_BITS-1:0] window;
    generate
        if (KERNEL == 1) begin : pixel
            assign window_valid       = in_valid;
            assign in_ready           = window_ready;
            assign window             = in_pixel;
            assign window_last_column = in_last_column;
            assign window_last_row    = in_last_row;
        end else begin : lines
            fsrcnn_window #(.KERNEL(KERNEL), .BITS(CHANNELS_IN*IN_BITS), .WIDTH(WIDTH)) window_ (
                .clk(clk), .rst(rst),
                .in_valid(in_valid), .in_ready(in_ready), .in_pixel(in_pixel),
                .in_last_column(in_last_column), .in_last_row(in_last_row),
                .out_valid(window_valid), .out_ready(window_ready), .out_window(window),
                .out_last_column(window_last_column), .out_last_row(window_last_row)
            );
        end
    endgenerate

    wire [TAPS*TAP_BITS-1:0] taps;
    genvar i;
    generate
        if (LUMA) begin : levels
            for (i = 0; i < TAPS; i = i + 1) begin : tap
                if (IN_BITS == 8) begin : eight
                    assign taps[i*TAP_BITS +: TAP_BITS] = {1'b0, window[i*8 +: 8], 2'b00};
                end else begin : ten
                    assign taps[i*TAP_BITS +: TAP_BITS] = {1'b0, window[i*10 +: 10]};
                end
            end
        end else begin : features
            assign taps = window;
        end
    endgenerate

    wire                         enable, sums_valid, sums_last_column, sums_last_row;
    wire [PARALLEL*SUM_BITS-1:0] sums;
    fsrcnn_products #(
        .TAPS(TAPS), .LANES(LANES), .TAP_STEPS(TAP_STEPS), .PARALLEL(PARALLEL), .OUTPUT_STEPS(OUTPUT_STEPS),
        .TAP_BITS(TAP_BITS), .KERNEL_BITS(KERNEL_BITS), .SUM_BITS(SUM_BITS), .KERNELS(KERNELS), .BIASES(BIASES)
    ) multipliers (
        .clk(clk), .rst(rst), .enable(enable),
        .in_valid(window_valid), .in_ready(window_ready), .in_taps(taps),
        .in_last_column(window_last_column), .in_last_row(window_last_row),
        .out_valid(sums_valid), .out_group(), .out_sums(sums),
        .out_last_column(sums_last_column), .out_last_row(sums_last_row)
    );

    // Sums come in PARALLEL every TAP_STEPS cycles at most, and are shifted through in as many: there is always room.
    wire                             pixel_valid, pixel_ready, pixel_last_column, pixel_last_row;
    wire [CHANNELS_OUT*OUT_BITS-1:0] pixel_;
    fsrcnn_requantise #(
        .OUTPUTS(CHANNELS_OUT), .PARALLEL(PARALLEL), .STEPS(TAP_STEPS), .UNITS(UNITS), .SUM_BITS(SUM_BITS),
        .BEFORE(BEFORE), .AFTER(AFTER), .OUT_BITS(OUT_BITS), .MULTIPLIERS(MULTIPLIERS)
    ) prelu (
        .clk(clk), .rst(rst), .enable(enable),
        .in_valid(sums_valid), .in_ready(), .in_sums(sums),
        .in_last_column(sums_last_column), .in_last_row(sums_last_row),
        .out_valid(pixel_valid), .out_ready(pixel_ready), .out_pixel(pixel_),
        .out_last_column(pixel_last_column), .out_last_row(pixel_last_row)
    );

    fsrcnn_buffer #(.BITS(2 + CHANNELS_OUT * OUT_BITS)) buffer (
        .clk(clk), .rst(rst),
        .in_valid(pixel_valid), .in_ready(pixel_ready), .in_data({pixel_last_row, pixel_last_column, pixel_}),
        .out_valid(out_valid), .out_ready(out_ready), .out_data({out_last_row, out_last_column, out_pixel})
    );
endmodule
