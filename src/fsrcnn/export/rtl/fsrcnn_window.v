// Line buffers and a window: from the pixels of a frame, row by row, to the KERNEL x KERNEL pixels around each of them.
// Outside of the frame all is zero, as the paper has it (Dong et al. 2016, section 3.2). A pixel is all of its channels.
//
// The rows above lie in one memory, a word for each column: read where the next pixel will be, written back with that pixel.
// Behind each row PAD columns of zeros are shifted in, below each frame PAD rows: that needs no pixels, and a cycle each
// where no window comes out. Frames may follow one another at once, and be of different sizes.
/* verilator lint_off WIDTH */  // parameters are numbers of 32 bits; numbers with sign are widened by assignment
module fsrcnn_window #(
    parameter KERNEL = 3,    // odd, from 3 on
    parameter BITS   = 144,  // of a pixel
    parameter WIDTH  = 960   // columns, at most
) (
    input  wire                          clk,
    input  wire                          rst,
    input  wire                          in_valid,
    output wire                          in_ready,
    input  wire [BITS-1:0]               in_pixel,
    input  wire                          in_last_column,
    input  wire                          in_last_row,
    output reg                           out_valid,
    input  wire                          out_ready,
    output reg  [KERNEL*KERNEL*BITS-1:0] out_window,  // column by column, from the left; in a column from the top
    output reg                           out_last_column,
    output reg                           out_last_row
);
    localparam PAD          = KERNEL / 2;
    localparam LINES        = KERNEL - 1;
    localparam COLUMN_BITS  = KERNEL * BITS;
    localparam ADDRESS_BITS = WIDTH > 1 ? $clog2(WIDTH) : 1;
    localparam COUNT_BITS   = $clog2(KERNEL);  // for 0 ... KERNEL - 1

    reg [ADDRESS_BITS-1:0] column;       // where the next pixel belongs
    reg [ADDRESS_BITS-1:0] last_column;  // of this frame, known when its first row has ended
    reg [COUNT_BITS-1:0]   shifted;      // columns of this row in the window, counted to PAD
    reg                    padding;      // zeros are shifted in behind the row
    reg [COUNT_BITS-1:0]   padded;       // so many of them
    reg [COUNT_BITS-1:0]   above;        // rows above this one, counted to LINES
    reg                    ending;       // this is the frame's last row
    reg                    below;        // this row lies below the frame
    reg [COUNT_BITS-1:0]   belows;       // rows below the frame before this one

    wire needs_pixel = !padding && !below;
    wire free        = !out_valid || out_ready;
    wire advance     = free && (in_valid || !needs_pixel);
    wire ends_pixels = below ? column == last_column : in_last_column;
    wire ends_row    = padding && padded == PAD - 1;
    wire ends_frame  = ends_row && below && belows == PAD - 1;
    assign in_ready  = free && needs_pixel;

    // In the cycle of an advance the memory is read where the next one will be, else where it is.
    (* no_rw_check *) reg [LINES*BITS-1:0] lines [0:WIDTH-1];
    reg  [LINES*BITS-1:0]   stored;
    wire [ADDRESS_BITS-1:0] next_column = padding ? column : ends_pixels ? {ADDRESS_BITS{1'b0}} : column + 1'b1;
    wire [BITS-1:0]         pixel = below ? {BITS{1'b0}} : in_pixel;
    wire [LINES*BITS-1:0]   rows_above;
    wire [COLUMN_BITS-1:0]  entering = padding ? {COLUMN_BITS{1'b0}} : {pixel, rows_above};
    genvar i;
    generate
        for (i = 0; i < LINES; i = i + 1) begin : line
            wire exists = above >= LINES - i;  // what a former frame left is not seen
            assign rows_above[i*BITS +: BITS] = exists ? stored[i*BITS +: BITS] : {BITS{1'b0}};
        end
    endgenerate
    always @(posedge clk) begin
        stored <= lines[advance ? next_column : column];
        if (advance && !padding) lines[column] <= entering[COLUMN_BITS-1:BITS];
    end

    always @(posedge clk) begin
        if (rst) begin
            out_valid <= 1'b0;
            column    <= {ADDRESS_BITS{1'b0}};
            shifted   <= {COUNT_BITS{1'b0}};
            padding   <= 1'b0;
            padded    <= {COUNT_BITS{1'b0}};
            above     <= {COUNT_BITS{1'b0}};
            below     <= 1'b0;
            belows    <= {COUNT_BITS{1'b0}};
        end else if (advance) begin
            out_valid <= shifted == PAD && above >= PAD;
            column    <= next_column;
            shifted   <= ends_row ? {COUNT_BITS{1'b0}} : shifted == PAD ? shifted : shifted + 1'b1;
            padding   <= padding ? !ends_row : ends_pixels;
            padded    <= padding && !ends_row ? padded + 1'b1 : {COUNT_BITS{1'b0}};
            if (ends_row) begin
                above  <= ends_frame ? {COUNT_BITS{1'b0}} : above == LINES ? above : above + 1'b1;
                below  <= below ? !ends_frame : ending;
                belows <= below && !ends_frame ? belows + 1'b1 : {COUNT_BITS{1'b0}};
            end
        end else if (out_ready) begin
            out_valid <= 1'b0;
        end
        if (advance) begin
            // The zeros behind a row are those before the next one, too; no window of a frame's first PAD rows comes out.
            out_window      <= {entering, out_window[KERNEL*COLUMN_BITS-1:COLUMN_BITS]};
            out_last_column <= ends_row;
            out_last_row    <= below && belows == PAD - 1;
            if (needs_pixel) begin
                last_column <= column;
                ending      <= in_last_row;
            end
        end
    end
endmodule
