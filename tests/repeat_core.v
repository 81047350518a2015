// What tests of the harness drive: each pixel twice in both directions, four pixels a beat. A mistake is built in by its macro.
module fsrcnn_core #(parameter WIDEST = 64) (
    input  wire        clk,
    input  wire        rst,
    input  wire [15:0] width,
    input  wire [15:0] height,
    input  wire        s_axis_tvalid,
    output wire        s_axis_tready,
    input  wire [7:0]  s_axis_tdata,
    input  wire        s_axis_tlast,
    input  wire        s_axis_tuser,
    output reg         m_axis_tvalid,
    input  wire        m_axis_tready,
    output reg  [31:0] m_axis_tdata,
    output reg  [3:0]  m_axis_tkeep,
    output reg         m_axis_tlast,
    output reg         m_axis_tuser,
    output reg         error
);
    reg [7:0]  line [0:WIDEST-1];
    reg [15:0] column, row;
    reg        sending, second;
    assign s_axis_tready = !sending;
    wire free = !m_axis_tvalid || m_axis_tready;
    // The pins may change with the next frame's first beat, while this frame's last line is still being sent.
    reg  [15:0] columns, rows;
    wire        begins = column == 0 && row == 0;
    wire [15:0] now_wide = begins ? width : columns;
    wire        last = column + 16'd2 >= columns;
    always @(posedge clk) begin
        if (s_axis_tvalid && s_axis_tready) begin
            line[column[5:0]] <= s_axis_tdata;
            column <= column + 16'd1;
            if (begins) {columns, rows} <= {width, height};
            if (s_axis_tlast != (column + 16'd1 == now_wide) || s_axis_tuser != begins) error <= 1'b1;
            if (column + 16'd1 == now_wide) begin
                column <= 16'd0;
                sending <= 1'b1;
            end
        end
        if (m_axis_tready) m_axis_tvalid <= 1'b0;
        if (sending && free) begin
            m_axis_tvalid <= 1'b1;
            m_axis_tdata <= {{2{line[column[5:0] + 6'd1]}}, {2{line[column[5:0]]}}};
            m_axis_tkeep <= column + 16'd1 == columns ? 4'b0011 : 4'b1111;
            m_axis_tlast <= last;
            m_axis_tuser <= begins && !second;
            column <= last ? 16'd0 : column + 16'd2;
            if (last) begin
                second <= !second;
                if (second) begin
                    sending <= 1'b0;
                    row <= row + 16'd1 == rows ? 16'd0 : row + 16'd1;
                end
            end
        end
        if (rst) begin
            {m_axis_tvalid, error, sending, second, column, row} <= 36'd0;
        end
    end
endmodule
