// Shared multipliers: OUTPUTS sums of TAPS products each, PARALLEL outputs by LANES taps in a cycle.
// It takes TAP_STEPS cycles to finish PARALLEL sums, and OUTPUT_STEPS times that for all; then the next taps are asked for.
/* verilator lint_off WIDTH */  // parameters are numbers of 32 bits; numbers with sign are widened by assignment
module fsrcnn_products #(
    parameter TAPS         = 108,
    parameter LANES        = 108,
    parameter TAP_STEPS    = 1,   // LANES * TAP_STEPS >= TAPS
    parameter PARALLEL     = 2,
    parameter OUTPUT_STEPS = 6,   // PARALLEL * OUTPUT_STEPS >= OUTPUTS
    parameter TAP_BITS     = 12,  // with sign
    parameter KERNEL_BITS  = 12,
    parameter SUM_BITS     = 28,
    parameter KERNELS      = "",  // a word for each cycle: LANES weights of the first output, then of the next
    parameter BIASES       = "",   // a word for each PARALLEL outputs
    parameter GROUP_BITS   = OUTPUT_STEPS > 1 ? $clog2(OUTPUT_STEPS) : 1
) (
    input  wire                         clk,
    input  wire                         rst,
    input  wire                         enable,  // the whole pipeline moves, or stands still
    input  wire                         in_valid,
    output wire                         in_ready,  // in the last cycle in which these taps are read
    input  wire [TAPS*TAP_BITS-1:0]     in_taps,
    input  wire                         in_last_column,
    input  wire                         in_last_row,
    output reg                          out_valid,
    output reg  [GROUP_BITS-1:0]        out_group,  // which PARALLEL outputs these are
    output wire [PARALLEL*SUM_BITS-1:0] out_sums,
    output reg                          out_last_column,
    output reg                          out_last_row
);
    localparam STEPS         = TAP_STEPS * OUTPUT_STEPS;
    localparam STEP_BITS     = STEPS > 1 ? $clog2(STEPS) : 1;
    localparam TAP_STEP_BITS = TAP_STEPS > 1 ? $clog2(TAP_STEPS) : 1;
    localparam PRODUCT_BITS  = TAP_BITS + KERNEL_BITS;
    localparam DELAY         = 2 + $clog2(LANES);  // operands, products, and the sum's levels

    reg [STEP_BITS-1:0]     step;
    reg [TAP_STEP_BITS-1:0] tap_step;
    reg [GROUP_BITS-1:0]    group;
    wire last_step = step == STEPS - 1;
    wire last_tap  = tap_step == TAP_STEPS - 1;
    assign in_ready = enable && last_step;
    always @(posedge clk) begin
        if (rst) begin
            step     <= {STEP_BITS{1'b0}};
            tap_step <= {TAP_STEP_BITS{1'b0}};
            group    <= {GROUP_BITS{1'b0}};
        end else if (enable && in_valid) begin
            step     <= last_step ? {STEP_BITS{1'b0}} : step + 1'b1;
            tap_step <= last_tap ? {TAP_STEP_BITS{1'b0}} : tap_step + 1'b1;
            if (last_tap) group <= last_step ? {GROUP_BITS{1'b0}} : group + 1'b1;
        end
    end

    // What belongs to a step goes along with its numbers.
    localparam NOTES = 5 + GROUP_BITS;
    reg  [DELAY*NOTES-1:0] notes;
    wire [NOTES-1:0] noted = {in_last_row, in_last_column, group, last_tap, tap_step == 0, in_valid};
    always @(posedge clk) begin
        if (rst) notes <= {DELAY*NOTES{1'b0}};
        else if (enable) notes <= {noted, notes[DELAY*NOTES-1:NOTES]};
    end
    wire                  valid       = notes[0];
    wire                  first       = notes[1];
    wire                  last        = notes[2];
    wire [GROUP_BITS-1:0] summed      = notes[3 +: GROUP_BITS];
    wire                  last_column = notes[3+GROUP_BITS];
    wire                  last_row    = notes[4+GROUP_BITS];

    (* rom_style = "logic" *) reg [PARALLEL*LANES*KERNEL_BITS-1:0] kernels [0:STEPS-1];
    (* rom_style = "logic" *) reg [PARALLEL*SUM_BITS-1:0] biases [0:OUTPUT_STEPS-1];
    generate
        if (KERNELS != "") initial $readmemh(KERNELS, kernels);
        if (BIASES != "") initial $readmemh(BIASES, biases);
    endgenerate

    wire [TAP_STEPS*LANES*TAP_BITS-1:0] taps;
    assign taps[TAPS*TAP_BITS-1:0] = in_taps;
    generate
        if (TAP_STEPS * LANES > TAPS) begin : filled
            assign taps[TAP_STEPS*LANES*TAP_BITS-1:TAPS*TAP_BITS] = {(TAP_STEPS*LANES-TAPS)*TAP_BITS{1'b0}};
        end
    endgenerate
    // Written as a product, the place of the lanes in the taps would cost a multiplier.
    reg [LANES*TAP_BITS-1:0] chosen;
    integer                  i;
    always @* begin
        chosen = {LANES*TAP_BITS{1'b0}};
        for (i = 0; i < TAP_STEPS; i = i + 1) chosen = chosen | {LANES*TAP_BITS{tap_step == i}} & taps[i*LANES*TAP_BITS +: LANES*TAP_BITS];
    end
    reg [LANES*TAP_BITS-1:0]             operands;
    reg [PARALLEL*LANES*KERNEL_BITS-1:0] weights;
    always @(posedge clk) begin
        if (enable) begin
            operands <= chosen;
            weights  <= kernels[step];
        end
    end

    wire [PARALLEL*SUM_BITS-1:0] bias = biases[summed];
    genvar output_, lane;
    generate
        for (output_ = 0; output_ < PARALLEL; output_ = output_ + 1) begin : sums
            wire [LANES*PRODUCT_BITS-1:0] products;
            for (lane = 0; lane < LANES; lane = lane + 1) begin : lanes
                wire signed [TAP_BITS-1:0]    tap    = operands[lane*TAP_BITS +: TAP_BITS];
                wire signed [KERNEL_BITS-1:0] weight = weights[(output_*LANES+lane)*KERNEL_BITS +: KERNEL_BITS];
                reg  signed [PRODUCT_BITS-1:0] product;
                always @(posedge clk) if (enable) product <= tap * weight;
                assign products[lane*PRODUCT_BITS +: PRODUCT_BITS] = product;
            end
            wire signed [SUM_BITS-1:0] part;
            fsrcnn_sum #(.TERMS(LANES), .BITS(PRODUCT_BITS), .SUM_BITS(SUM_BITS)) tree (
                .clk(clk), .enable(enable), .terms(products), .sum(part)
            );
            reg signed [SUM_BITS-1:0] total;
            wire signed [SUM_BITS-1:0] addend = first ? bias[output_*SUM_BITS +: SUM_BITS] : total;
            always @(posedge clk) if (enable) total <= addend + part;
            assign out_sums[output_*SUM_BITS +: SUM_BITS] = total;
        end
    endgenerate

    always @(posedge clk) begin
        if (rst) begin
            out_valid <= 1'b0;
        end else if (enable) begin
            out_valid <= valid && last;
        end
        if (enable) begin
            out_group       <= summed;
            out_last_column <= last_column;
            out_last_row    <= last_row;
        end
    end
endmodule
