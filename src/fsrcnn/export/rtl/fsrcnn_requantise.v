// From sums to features, or to luma: (sum >>> BEFORE) * multiplier, rounded by AFTER bits, clipped. The multiplier is one of two by the
// sum's sign, which is the PReLU. UNITS sums in a cycle: PARALLEL of them that came at once are shifted through in STEPS cycles.
/* verilator lint_off WIDTH */  // parameters are numbers of 32 bits; numbers with sign are widened by assignment
module fsrcnn_requantise #(
    parameter OUTPUTS     = 12,
    parameter PARALLEL    = 2,
    parameter STEPS       = 1,
    parameter UNITS       = 2,   // UNITS * STEPS >= PARALLEL
    parameter SUM_BITS    = 28,
    parameter BEFORE      = 3,   // SUM_BITS - BEFORE <= 25
    parameter AFTER       = 23,
    parameter OUT_BITS    = 12,
    parameter LUMA        = 0,   // 0: numbers with sign; 1: levels from 0 on, without
    parameter MULTIPLIERS = ""  // a word for each cycle: negative, positive of the first unit (from the low end), then ...
) (
    input  wire                         clk,
    input  wire                         rst,
    output wire                         enable,  // what comes before it stands still when this does
    input  wire                         in_valid,
    output wire                         in_ready,
    input  wire [PARALLEL*SUM_BITS-1:0] in_sums,
    input  wire                         in_last_column,
    input  wire                         in_last_row,
    output reg                          out_valid,  // all OUTPUTS
    input  wire                         out_ready,
    output wire [OUTPUTS*OUT_BITS-1:0]  out_pixel,
    output reg                          out_last_column,
    output reg                          out_last_row
);
    localparam GROUPS          = (OUTPUTS + PARALLEL - 1) / PARALLEL;
    localparam PLACES          = GROUPS * STEPS;
    localparam PLACE_BITS      = PLACES > 1 ? $clog2(PLACES) : 1;
    localparam STEP_BITS       = STEPS > 1 ? $clog2(STEPS) : 1;
    localparam FACTOR_BITS     = SUM_BITS - BEFORE;
    localparam MULTIPLIER_BITS = 18;
    localparam PRODUCT_BITS    = FACTOR_BITS + MULTIPLIER_BITS;
    localparam ROUNDED_BITS    = 1 + (PRODUCT_BITS > AFTER ? PRODUCT_BITS : AFTER);
    localparam HELD_BITS       = STEPS * UNITS * SUM_BITS;
    localparam signed [ROUNDED_BITS-1:0] HALF = {{ROUNDED_BITS-1{1'b0}}, 1'b1} << (AFTER - 1);
    localparam signed [ROUNDED_BITS-1:0] LEAST = LUMA ? 0 : -(1 << (OUT_BITS - 1));
    localparam signed [ROUNDED_BITS-1:0] MOST  = LUMA ? (1 << OUT_BITS) - 1 : (1 << (OUT_BITS - 1)) - 1;

    assign enable = !out_valid || out_ready;

    reg                  busy;
    reg [HELD_BITS-1:0]  held;
    reg [STEP_BITS-1:0]  step;
    reg [PLACE_BITS-1:0] place;  // which UNITS of the outputs are at the low end of `held`
    reg                  held_last_column, held_last_row;
    wire last_step = step == STEPS - 1;
    assign in_ready = enable && (!busy || last_step);
    wire [HELD_BITS-1:0] entering;
    assign entering[PARALLEL*SUM_BITS-1:0] = in_sums;
    generate
        if (STEPS * UNITS > PARALLEL) begin : filled
            assign entering[HELD_BITS-1:PARALLEL*SUM_BITS] = {HELD_BITS-PARALLEL*SUM_BITS{1'b0}};
        end
    endgenerate
    always @(posedge clk) begin
        if (rst) begin
            busy  <= 1'b0;
            step  <= {STEP_BITS{1'b0}};
            place <= {PLACE_BITS{1'b0}};
        end else if (enable) begin
            if (in_ready) busy <= in_valid;
            step <= busy && !last_step ? step + 1'b1 : {STEP_BITS{1'b0}};
            if (busy) place <= place == PLACES - 1 ? {PLACE_BITS{1'b0}} : place + 1'b1;
        end
        if (enable) begin
            held <= in_ready ? entering : held >> (UNITS * SUM_BITS);
            if (in_ready) begin
                held_last_column <= in_last_column;
                held_last_row    <= in_last_row;
            end
        end
    end

    // Four registers: factor and multiplier, product, rounded, clipped.
    localparam DELAY = 4;
    localparam NOTES = 3 + PLACE_BITS;
    reg [DELAY*NOTES-1:0] notes;
    always @(posedge clk) begin
        if (rst) notes <= {DELAY*NOTES{1'b0}};
        else if (enable) notes <= {held_last_row, held_last_column, place, busy, notes[DELAY*NOTES-1:NOTES]};
    end
    wire                  valid  = notes[0];
    wire [PLACE_BITS-1:0] placed = notes[1 +: PLACE_BITS];

    (* rom_style = "logic" *) reg [UNITS*2*MULTIPLIER_BITS-1:0] multipliers [0:PLACES-1];
    generate
        if (MULTIPLIERS != "") initial $readmemh(MULTIPLIERS, multipliers);
    endgenerate
    wire [UNITS*2*MULTIPLIER_BITS-1:0] chosen = multipliers[place];
    wire [UNITS*OUT_BITS-1:0] values;
    genvar unit, i;
    generate
        for (unit = 0; unit < UNITS; unit = unit + 1) begin : units
            wire signed [SUM_BITS-1:0]        sum      = held[unit*SUM_BITS +: SUM_BITS];
            wire signed [MULTIPLIER_BITS-1:0] negative = chosen[2*unit*MULTIPLIER_BITS +: MULTIPLIER_BITS];
            wire signed [MULTIPLIER_BITS-1:0] positive = chosen[(2*unit+1)*MULTIPLIER_BITS +: MULTIPLIER_BITS];
            reg  signed [FACTOR_BITS-1:0]     factor;
            reg  signed [MULTIPLIER_BITS-1:0] multiplier;
            reg  signed [PRODUCT_BITS-1:0]    product;
            reg  signed [ROUNDED_BITS-1:0]    rounded;
            reg         [OUT_BITS-1:0]        value;
            wire signed [ROUNDED_BITS-1:0]    whole = rounded >>> AFTER;
            always @(posedge clk) begin
                if (enable) begin
                    factor     <= sum[SUM_BITS-1:BEFORE];
                    multiplier <= sum[SUM_BITS-1] ? negative : positive;
                    product    <= factor * multiplier;
                    rounded    <= product + HALF;
                    value      <= whole < LEAST ? LEAST[OUT_BITS-1:0] : whole > MOST ? MOST[OUT_BITS-1:0] : whole[OUT_BITS-1:0];
                end
            end
            assign values[unit*OUT_BITS +: OUT_BITS] = value;
        end
        for (i = 0; i < OUTPUTS; i = i + 1) begin : outputs
            localparam PLACE = (i / PARALLEL) * STEPS + (i % PARALLEL) / UNITS;
            localparam UNIT  = (i % PARALLEL) % UNITS;
            reg [OUT_BITS-1:0] feature;
            always @(posedge clk) if (enable && valid && placed == PLACE) feature <= values[UNIT*OUT_BITS +: OUT_BITS];
            assign out_pixel[i*OUT_BITS +: OUT_BITS] = feature;
        end
    endgenerate

    always @(posedge clk) begin
        if (rst) begin
            out_valid <= 1'b0;
        end else if (enable) begin
            out_valid <= valid && placed == PLACES - 1;
        end
        if (enable) begin
            out_last_column <= notes[1+PLACE_BITS];
            out_last_row    <= notes[2+PLACE_BITS];
        end
    end
endmodule
