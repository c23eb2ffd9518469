-- The views over the flights. Each is deterministic: where rows are ranked, ties are broken by the
-- flights' key.

-- Delay by carrier and month: count, average, maximum, share late.
CREATE MATERIALIZED VIEW delay_by_carrier_month AS
SELECT
    f.carrier,
    a.name,
    f.month,
    count(*) AS flights,
    count(f.arr_delay) AS arrived,
    avg(f.arr_delay) AS average_delay,
    max(f.arr_delay) AS maximum_delay,
    avg(CASE WHEN f.arr_delay > 15 THEN 1 ELSE 0 END) FILTER (WHERE f.arr_delay IS NOT NULL) AS share_late
FROM flights AS f
JOIN airlines AS a ON a.carrier = f.carrier
GROUP BY f.carrier, a.name, f.month;

-- The ten busiest routes of each origin, with the airports' names where they are known.
CREATE MATERIALIZED VIEW busiest_routes AS
SELECT r.origin, r.place, r.dest, o.name AS origin_name, d.name AS dest_name, r.flights
FROM (
    SELECT
        origin,
        dest,
        flights,
        row_number() OVER (PARTITION BY origin ORDER BY flights DESC, dest) AS place
    FROM (
        SELECT origin, dest, count(*) AS flights
        FROM flights
        GROUP BY origin, dest
    ) AS routes
) AS r
JOIN airports AS o ON o.faa = r.origin
LEFT JOIN airports AS d ON d.faa = r.dest
WHERE r.place <= 10;

-- Delay against the visibility (miles) and wind (steps of 5 mph) of the hour's weather.
CREATE MATERIALIZED VIEW delay_by_weather AS
SELECT
    floor(w.visib)::integer AS visibility,
    floor(w.wind_speed / 5)::integer * 5 AS wind,
    count(*) AS flights,
    count(*) FILTER (WHERE f.dep_time IS NULL) AS cancelled,
    avg(f.dep_delay) AS average_delay,
    min(w.temp) AS coldest,
    avg(w.temp::numeric) AS average_temperature
FROM flights AS f
JOIN weather AS w ON w.origin = f.origin AND w.time_hour = f.time_hour
GROUP BY floor(w.visib)::integer, floor(w.wind_speed / 5)::integer * 5;

-- Flights whose plane is unknown.
CREATE MATERIALIZED VIEW unknown_planes AS
SELECT f.year, f.month, f.day, f.origin, f.carrier, f.flight, f.tailnum, f.dest
FROM flights AS f
WHERE NOT EXISTS (SELECT 1 FROM planes AS p WHERE p.tailnum = f.tailnum);

-- Distinct planes and carriers a day.
CREATE MATERIALIZED VIEW fleet_by_day AS
SELECT
    year,
    month,
    day,
    count(*) AS flights,
    count(DISTINCT tailnum) AS planes,
    count(DISTINCT carrier) AS carriers
FROM flights
GROUP BY year, month, day;

-- The three latest flights of each day and origin.
CREATE MATERIALIZED VIEW latest_flights AS
SELECT year, month, day, origin, place, sched_dep_time, carrier, flight, dest, dep_delay
FROM (
    SELECT
        year,
        month,
        day,
        origin,
        sched_dep_time,
        carrier,
        flight,
        dest,
        dep_delay,
        row_number() OVER (
            PARTITION BY year, month, day, origin
            ORDER BY sched_dep_time DESC, carrier, flight
        ) AS place
    FROM flights
) AS ranked
WHERE place <= 3;

-- Aircraft age in years against delay.
CREATE MATERIALIZED VIEW delay_by_age AS
SELECT
    f.year - p.year AS age,
    count(*) AS flights,
    count(DISTINCT f.tailnum) AS planes,
    avg(f.dep_delay) AS average_departure_delay,
    avg(f.arr_delay) AS average_arrival_delay,
    max(f.arr_delay) AS maximum_arrival_delay
FROM flights AS f
JOIN planes AS p ON p.tailnum = f.tailnum
WHERE p.year IS NOT NULL
GROUP BY f.year - p.year;

-- Carriers that flew every route of another carrier.
CREATE MATERIALIZED VIEW covering_carriers AS
WITH routes AS (
    SELECT DISTINCT carrier, origin, dest FROM flights
)
SELECT a.carrier, a.name, b.carrier AS covered, b.name AS covered_name
FROM airlines AS a
JOIN airlines AS b ON a.carrier <> b.carrier
WHERE NOT EXISTS (
    SELECT 1
    FROM routes AS needed
    WHERE needed.carrier = b.carrier
      AND NOT EXISTS (
          SELECT 1
          FROM routes AS flown
          WHERE flown.carrier = a.carrier
            AND flown.origin = needed.origin
            AND flown.dest = needed.dest
      )
);

-- Each destination's carriers, in order, and the longest flight there.
CREATE MATERIALIZED VIEW destinations AS
SELECT
    f.dest,
    coalesce(d.name, 'unknown') AS name,
    string_agg(DISTINCT f.carrier, ',' ORDER BY f.carrier) AS carriers,
    count(*) AS flights,
    sum(f.distance) AS miles,
    max(f.air_time) AS longest,
    bool_or(f.dep_time IS NULL) AS ever_cancelled
FROM flights AS f
LEFT JOIN airports AS d ON d.faa = f.dest
GROUP BY f.dest, coalesce(d.name, 'unknown');

-- Days whose mean departure delay exceeds that of their month by half.
CREATE MATERIALIZED VIEW bad_days AS
SELECT d.month, d.day, d.average_delay, m.average_delay AS month_average
FROM (
    SELECT month, day, avg(dep_delay) AS average_delay
    FROM flights
    GROUP BY month, day
) AS d
JOIN (
    SELECT month, avg(dep_delay) AS average_delay
    FROM flights
    GROUP BY month
) AS m ON m.month = d.month
WHERE d.average_delay > m.average_delay * 1.5;
