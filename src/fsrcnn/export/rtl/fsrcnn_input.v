// AXI4-Stream video to pixels that know whether they are the last of their row and in the last row of their frame.
// A frame begins with `tuser`; what comes before the first one is dropped. `error` is set, until reset, by a `tlast` that is not at
// the end of a row or a `tuser` that is not at the beginning of a frame, by pixels beyond a frame, and by a size that is not legal,
// whose frame is dropped.
/* verilator lint_off WIDTH */  // parameters are numbers of 32 bits; numbers with sign are widened by assignment
/* verilator lint_off UNUSEDSIGNAL */  // 10 bits come in 16
module fsrcnn_input #(
    parameter DEPTH = 8,    // bits of a pixel: 8 or 10
    parameter BITS  = 8,    // of tdata: 8 or 16
    parameter WIDTH = 960
) (
    input  wire             clk,
    input  wire             rst,
    input  wire [15:0]      width,   // of a frame, in pixels, with its first beat
    input  wire [15:0]      height,
    input  wire             s_axis_tvalid,
    output wire             s_axis_tready,
    input  wire [BITS-1:0]  s_axis_tdata,
    input  wire             s_axis_tlast,
    input  wire             s_axis_tuser,
    output wire             out_valid,
    input  wire             out_ready,
    output wire [DEPTH-1:0] out_pixel,
    output wire             out_last_column,
    output wire             out_last_row,
    output reg              error
);
    reg        running, started;
    reg [15:0] column, row, columns, rows;
    wire       legal       = width != 0 && width <= WIDTH && height != 0;
    wire       begins      = !running && s_axis_tuser && legal;
    wire       taken       = running || begins;
    wire       ready;
    wire       last_column = running ? column == columns - 1'b1 : width == 1;
    wire       last_row    = running ? row == rows - 1'b1 : height == 1;
    assign     s_axis_tready = ready || !taken;
    wire       beat = s_axis_tvalid && s_axis_tready;
    always @(posedge clk) begin
        if (rst) begin
            running  <= 1'b0;
            started <= 1'b0;
            error   <= 1'b0;
        end else if (beat) begin
            if (taken) begin
                running <= !(last_column && last_row);
                if (s_axis_tlast != last_column || (running && s_axis_tuser)) error <= 1'b1;
            end else if (started || s_axis_tuser) begin
                error <= 1'b1;
            end
            if (s_axis_tuser) started <= 1'b1;
        end
        if (beat) begin
            column <= last_column ? 16'd0 : running ? column + 1'b1 : 16'd1;
            row    <= !running ? (last_column ? 16'd1 : 16'd0) : last_column ? row + 1'b1 : row;
            if (!running) begin
                columns <= width;
                rows    <= height;
            end
        end
    end

    fsrcnn_buffer #(.BITS(DEPTH + 2)) buffer (
        .clk(clk), .rst(rst),
        .in_valid(s_axis_tvalid && taken), .in_ready(ready), .in_data({last_row, last_column, s_axis_tdata[DEPTH-1:0]}),
        .out_valid(out_valid), .out_ready(out_ready), .out_data({out_last_row, out_last_column, out_pixel})
    );
endmodule
