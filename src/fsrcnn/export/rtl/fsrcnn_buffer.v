// Two places in a stream. What comes before it and what comes behind it see registers only, so that no path of `ready` runs
// through several layers. A beat per cycle goes through.
/* verilator lint_off WIDTH */  // parameters are numbers of 32 bits; numbers with sign are widened by assignment
module fsrcnn_buffer #(
    parameter BITS = 8
) (
    input  wire            clk,
    input  wire            rst,
    input  wire            in_valid,
    output wire            in_ready,
    input  wire [BITS-1:0] in_data,
    output reg             out_valid,
    input  wire            out_ready,
    output reg  [BITS-1:0] out_data
);
    reg            waits;    // a beat that came while `out_data` was taken
    reg [BITS-1:0] waiting;
    assign in_ready = !waits;

    always @(posedge clk) begin
        if (rst) begin
            out_valid <= 1'b0;
            waits     <= 1'b0;
        end else if (!out_valid || out_ready) begin
            out_valid <= waits || in_valid;
            waits     <= 1'b0;
        end else if (in_valid && in_ready) begin
            waits     <= 1'b1;
        end
        if (!out_valid || out_ready) out_data <= waits ? waiting : in_data;
        if (!waits) waiting <= in_data;
    end
endmodule
