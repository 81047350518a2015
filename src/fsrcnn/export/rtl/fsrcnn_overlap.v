// Overlapping stamps become HR pixels. An LR pixel's stamp is KERNEL x KERNEL sums, and lies over the stamps of its neighbours at a
// distance of SCALE. Counted in LR pixels, what belongs to phase (y, x) of the HR pixels is a small convolution (Shi et al. 2016),
// here in its transposed form: sums wait for the stamps that are still to come, TILES - 1 columns of them in registers, TILES - 1 rows
// of them in a memory. That is far less than the features would take, and no zero is ever multiplied.
//
// FRONT rows and columns of zeros stand before the stamp, so that the crop becomes BEYOND whole LR pixels. (x2, kernel 9, crop 3: FRONT
// 1, TILES 5, BEYOND 2.) BEYOND columns behind each row and rows below each frame bring forth the last HR pixels, without a stamp.
/* verilator lint_off WIDTH */  // parameters are numbers of 32 bits; numbers with sign are widened by assignment
module fsrcnn_overlap #(
    parameter KERNEL   = 9,
    parameter SCALE    = 2,
    parameter FRONT    = 1,
    parameter TILES    = 5,
    parameter BEYOND   = 2,
    parameter WIDTH    = 960,
    parameter SUM_BITS = 29,
    parameter BIASES   = ""  // one word: of all phases
) (
    input  wire                              clk,
    input  wire                              rst,
    input  wire                              in_valid,
    output wire                              in_ready,
    input  wire [KERNEL*KERNEL*SUM_BITS-1:0] in_stamp,
    input  wire                              in_last_column,
    input  wire                              in_last_row,
    output reg                               out_valid,
    input  wire                              out_ready,
    output reg  [SCALE*SCALE*SUM_BITS-1:0]   out_sums,  // phase SCALE*y + x, the first at the low end
    output reg                               out_last_column,
    output reg                               out_last_row
);
    localparam PHASES       = SCALE * SCALE;
    localparam BLOCK_BITS   = PHASES * SUM_BITS;  // the sums of one LR pixel's HR pixels
    localparam STORED_BITS  = TILES > 1 ? (TILES - 1) * BLOCK_BITS : 1;
    localparam ADDRESS_BITS = WIDTH > 1 ? $clog2(WIDTH) : 1;
    localparam COUNT_BITS   = BEYOND > 0 ? $clog2(BEYOND + 1) : 1;
    localparam PAUSE        = 2;  // cycles behind a row, until what it stored can be read: the next may have the same only column

    // Which step this is, as in fsrcnn_window.
    reg [ADDRESS_BITS-1:0] column, last_column;
    reg [ADDRESS_BITS-1:0] address;  // of the HR pixels that come out: BEYOND columns behind
    reg [COUNT_BITS-1:0]   shifted, padded, above, belows;
    reg                    starting;  // the first column of a row
    reg                    top;       // the first row of a frame
    reg                    padding, ending, below;
    reg [1:0]              pause;

    wire free        = !out_valid || out_ready;
    wire needs_stamp = !padding && !below;
    wire advance     = free && pause == 0 && (in_valid || !needs_stamp);
    assign in_ready  = free && pause == 0 && needs_stamp;
    wire ends_pixels = !padding && (below ? column == last_column : in_last_column);
    wire ends_row    = BEYOND == 0 ? ends_pixels : padding && padded == BEYOND - 1;
    wire last_row    = BEYOND == 0 ? in_last_row : below && belows == BEYOND - 1;
    wire ends_frame  = ends_row && last_row;
    wire comes_out   = shifted == BEYOND;
    always @(posedge clk) begin
        if (rst) begin
            column   <= {ADDRESS_BITS{1'b0}};
            address  <= {ADDRESS_BITS{1'b0}};
            shifted  <= {COUNT_BITS{1'b0}};
            padded   <= {COUNT_BITS{1'b0}};
            above    <= {COUNT_BITS{1'b0}};
            belows   <= {COUNT_BITS{1'b0}};
            starting <= 1'b1;
            top      <= 1'b1;
            padding  <= 1'b0;
            below    <= 1'b0;
            pause    <= 2'd0;
        end else if (free) begin
            if (pause != 0) pause <= pause - 1'b1;
            if (advance) begin
                column   <= padding || ends_pixels ? {ADDRESS_BITS{1'b0}} : column + 1'b1;
                address  <= ends_row ? {ADDRESS_BITS{1'b0}} : comes_out ? address + 1'b1 : address;
                shifted  <= ends_row ? {COUNT_BITS{1'b0}} : comes_out ? shifted : shifted + 1'b1;
                padding  <= padding ? !ends_row : ends_pixels && BEYOND != 0;
                padded   <= padding && !ends_row ? padded + 1'b1 : {COUNT_BITS{1'b0}};
                starting <= ends_row;
                if (ends_row) begin
                    pause  <= PAUSE;
                    top    <= ends_frame;
                    above  <= ends_frame ? {COUNT_BITS{1'b0}} : above == BEYOND ? above : above + 1'b1;
                    below  <= below ? !ends_frame : BEYOND != 0 && ending;
                    belows <= below && !ends_frame ? belows + 1'b1 : {COUNT_BITS{1'b0}};
                end
            end
        end
        if (advance && needs_stamp) begin
            last_column <= column;
            ending      <= in_last_row;
        end
    end

    // The stamp, cut into blocks: block (a, b) goes to the HR pixels of the LR pixel a rows below and b columns to the right.
    wire [TILES*TILES*BLOCK_BITS-1:0] blocks;
    genvar a, b, y, x;
    generate
        for (a = 0; a < TILES; a = a + 1) begin : tile_rows
            for (b = 0; b < TILES; b = b + 1) begin : tiles
                for (y = 0; y < SCALE; y = y + 1) begin : rows
                    for (x = 0; x < SCALE; x = x + 1) begin : columns
                        localparam ROW    = SCALE * a + y - FRONT;
                        localparam COLUMN = SCALE * b + x - FRONT;
                        localparam PLACE  = ((TILES * a + b) * PHASES + SCALE * y + x) * SUM_BITS;
                        if (ROW >= 0 && ROW < KERNEL && COLUMN >= 0 && COLUMN < KERNEL) begin : covered
                            assign blocks[PLACE +: SUM_BITS] = needs_stamp ? in_stamp[(KERNEL*ROW+COLUMN)*SUM_BITS +: SUM_BITS] : {SUM_BITS{1'b0}};
                        end else begin : outside
                            assign blocks[PLACE +: SUM_BITS] = {SUM_BITS{1'b0}};
                        end
                    end
                end
            end
        end
    endgenerate

    (* rom_style = "logic" *) reg [BLOCK_BITS-1:0] biases [0:0];
    generate
        if (BIASES != "") initial $readmemh(BIASES, biases);
    endgenerate

    // First step: across. `row_sums` a: what this row's stamps, up to this column, give to the row a below.
    // Second step: down. Below a = TILES - 1 nothing waits yet but the bias.
    reg                     across_valid, across_stores, across_out, across_top, across_last_column, across_last_row;
    reg [ADDRESS_BITS-1:0]  across_address;
    reg                     down_stores;
    reg [ADDRESS_BITS-1:0]  down_address;
    reg [STORED_BITS-1:0]   stored, down_sums;
    (* no_rw_check *) reg [STORED_BITS-1:0] lines [0:WIDTH-1];
    genvar phase;
    generate
        for (a = 0; a < TILES; a = a + 1) begin : down
            for (phase = 0; phase < PHASES; phase = phase + 1) begin : phases
                // waiting[b]: for the HR pixels b columns to the right
                for (b = 0; b < TILES; b = b + 1) begin : across
                    wire signed [SUM_BITS-1:0] stamp = blocks[((TILES*a+b)*PHASES+phase)*SUM_BITS +: SUM_BITS];
                    reg  signed [SUM_BITS-1:0] waiting;
                    if (b == TILES - 1) begin : last
                        always @(posedge clk) if (advance) waiting <= stamp;
                    end else begin : other
                        wire signed [SUM_BITS-1:0] addend = starting ? {SUM_BITS{1'b0}} : down[a].phases[phase].across[b+1].waiting;
                        always @(posedge clk) if (advance) waiting <= stamp + addend;
                    end
                end
                wire signed [SUM_BITS-1:0] row_sum = across[0].waiting;
                wire signed [SUM_BITS-1:0] bias    = biases[0][phase*SUM_BITS +: SUM_BITS];
                wire signed [SUM_BITS-1:0] waited;
                if (a == TILES - 1) begin : newest
                    assign waited = bias;
                end else begin : older
                    assign waited = across_top ? bias : stored[(a*PHASES+phase)*SUM_BITS +: SUM_BITS];
                end
                wire signed [SUM_BITS-1:0] total = row_sum + waited;
                if (a == 0) begin : finished
                    always @(posedge clk) if (free) out_sums[phase*SUM_BITS +: SUM_BITS] <= total;
                end else begin : waits
                    always @(posedge clk) if (free) down_sums[((a-1)*PHASES+phase)*SUM_BITS +: SUM_BITS] <= total;
                end
            end
        end
        if (TILES == 1) begin : nothing_waits
            always @(posedge clk) down_sums <= 1'b0;
        end
    endgenerate
    always @(posedge clk) begin
        if (free) stored <= lines[address];
        if (free && down_stores) lines[down_address] <= down_sums;
    end
    always @(posedge clk) begin
        if (rst) begin
            across_valid <= 1'b0;
            down_stores  <= 1'b0;
            out_valid    <= 1'b0;
        end else if (free) begin
            across_valid <= advance;
            down_stores  <= across_valid && across_stores;
            out_valid    <= across_valid && across_out;
        end
        if (free) begin
            across_stores      <= comes_out;
            across_out         <= comes_out && above == BEYOND;
            across_top         <= top;
            across_address     <= address;
            across_last_column <= ends_row;
            across_last_row    <= last_row;
            down_address       <= across_address;
            out_last_column    <= across_last_column;
            out_last_row       <= across_last_row;
        end
    end
endmodule
