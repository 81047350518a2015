// Blocks of SCALE x SCALE levels, a row of LR pixels at a time, to HR rows as AXI4-Stream video, PIXELS in a beat, the leftmost at the low
// end. While a row of blocks is written into one half of the memory, SCALE rows of pixels are read from the other.
/* verilator lint_off WIDTH */  // parameters are numbers of 32 bits; numbers with sign are widened by assignment
/* verilator lint_off UNUSEDSIGNAL */  // the lowest bit of a level is rounded away where a pixel has 8
module fsrcnn_output #(
    parameter SCALE  = 2,
    parameter WIDTH  = 960,  // in LR pixels
    parameter DEPTH  = 8,    // bits of a pixel: 8 or 10
    parameter BITS   = 8,    // of a pixel in tdata: 8 or 16
    parameter PIXELS = 1     // 1, SCALE or SCALE * SCALE
) (
    input  wire                      clk,
    input  wire                      rst,
    input  wire                      in_valid,
    output wire                      in_ready,
    input  wire [SCALE*SCALE*10-1:0] in_block,
    input  wire                      in_last_column,
    input  wire                      in_last_row,
    output reg                       m_axis_tvalid,
    input  wire                      m_axis_tready,
    output wire [PIXELS*BITS-1:0]    m_axis_tdata,
    output reg  [PIXELS-1:0]         m_axis_tkeep,  // a bit for each pixel
    output reg                       m_axis_tlast,
    output reg                       m_axis_tuser
);
    localparam BANKS        = PIXELS > SCALE ? SCALE : 1;  // blocks side by side in a word of the memory
    localparam PARTS        = PIXELS > 1 ? 1 : SCALE;      // beats that a block's row gives
    localparam WORDS        = (WIDTH + BANKS - 1) / BANKS;
    localparam WORD_BITS    = WORDS > 1 ? $clog2(WORDS) : 1;
    localparam BLOCK_BITS   = SCALE * SCALE * DEPTH;

    // Levels of 10 bits become 8 bits by rounding.
    wire [BLOCK_BITS-1:0] block;
    genvar i, bank;
    generate
        for (i = 0; i < SCALE * SCALE; i = i + 1) begin : pixels
            wire [9:0] level = in_block[i*10 +: 10];
            if (DEPTH == 10) begin : ten
                assign block[i*10 +: 10] = level;
            end else begin : eight
                wire [8:0] rounded = level[9:2] + {8'd0, level[1]};
                assign block[i*8 +: 8] = rounded[8] ? 8'd255 : rounded[7:0];
            end
        end
    endgenerate

    // Writing.
    reg                  writes, reads;  // which half
    reg  [1:0]           full;           // a half that waits to be read, or is read
    reg                  first;          // the next row of blocks is a frame's first
    reg  [1:0]           firsts;
    reg  [WORD_BITS-1:0] word;
    reg  [1:0]           lane;           // which bank
    reg  [WORD_BITS-1:0] last_word [0:1];
    reg  [1:0]           last_lane [0:1];
    wire                 done;           // the last beat of a half leaves the memory
    assign in_ready = !full[writes];
    wire write = in_valid && in_ready;
    wire last_lane_of_word = lane == BANKS - 1;
    always @(posedge clk) begin
        if (rst) begin
            writes <= 1'b0;
            full   <= 2'b00;
            first  <= 1'b1;
            word   <= {WORD_BITS{1'b0}};
            lane   <= 2'd0;
        end else begin
            if (done) full[reads] <= 1'b0;
            if (write) begin
                lane <= in_last_column || last_lane_of_word ? 2'd0 : lane + 1'b1;
                word <= in_last_column ? {WORD_BITS{1'b0}} : last_lane_of_word ? word + 1'b1 : word;
                if (in_last_column) begin
                    full[writes] <= 1'b1;
                    writes       <= !writes;
                    first        <= in_last_row;
                end
            end
        end
        if (write && in_last_column) begin
            firsts[writes]    <= first;
            last_word[writes] <= word;
            last_lane[writes] <= lane;
        end
    end

    // Reading: address, word, beat.
    wire enable = !m_axis_tvalid || m_axis_tready;
    reg [WORD_BITS-1:0] at;
    reg [1:0]           row, part;
    wire last_part = part == PARTS - 1;
    wire last_at   = at == last_word[reads] && last_part;
    wire last_row_ = row == SCALE - 1;
    assign done    = enable && full[reads] && last_at && last_row_;
    always @(posedge clk) begin
        if (rst) begin
            reads <= 1'b0;
            at    <= {WORD_BITS{1'b0}};
            row   <= 2'd0;
            part  <= 2'd0;
        end else if (enable && full[reads]) begin
            part <= last_part ? 2'd0 : part + 1'b1;
            if (last_part) at <= last_at ? {WORD_BITS{1'b0}} : at + 1'b1;
            if (last_at) row <= last_row_ ? 2'd0 : row + 1'b1;
            if (last_at && last_row_) reads <= !reads;
        end
    end
    reg       word_valid, word_last, word_first;
    reg [1:0] word_row, word_part, word_lane;
    always @(posedge clk) begin
        if (rst) begin
            word_valid    <= 1'b0;
            m_axis_tvalid <= 1'b0;
        end else if (enable) begin
            word_valid    <= full[reads];
            m_axis_tvalid <= word_valid;
        end
        if (enable) begin
            word_row     <= row;
            word_part    <= part;
            word_lane    <= at == last_word[reads] ? last_lane[reads] : BANKS - 1;
            word_last    <= last_at;
            word_first   <= firsts[reads] && at == 0 && row == 0 && part == 0;
            m_axis_tlast <= word_last;
            m_axis_tuser <= word_first;
        end
    end

    // One memory for each bank; a row of a block is SCALE pixels of it.
    wire [BANKS*SCALE*DEPTH-1:0] pixel_row;
    generate
        for (bank = 0; bank < BANKS; bank = bank + 1) begin : banks
            (* no_rw_check *) reg [BLOCK_BITS-1:0] blocks [0:2*(1<<WORD_BITS)-1];
            reg [BLOCK_BITS-1:0] read;
            always @(posedge clk) begin
                if (write && lane == bank) blocks[{writes, word}] <= block;
                if (enable) read <= blocks[{reads, at}];
            end
            assign pixel_row[bank*SCALE*DEPTH +: SCALE*DEPTH] = read[word_row*SCALE*DEPTH +: SCALE*DEPTH];
        end
        for (i = 0; i < PIXELS; i = i + 1) begin : beat
            reg [DEPTH-1:0] pixel;
            always @(posedge clk) begin
                if (enable) begin
                    pixel           <= PIXELS == 1 ? pixel_row[word_part*DEPTH +: DEPTH] : pixel_row[i*DEPTH +: DEPTH];
                    m_axis_tkeep[i] <= i < SCALE || i / SCALE <= word_lane;
                end
            end
            assign m_axis_tdata[i*BITS +: BITS] = {{BITS-DEPTH{1'b0}}, pixel};
        end
    endgenerate
endmodule
