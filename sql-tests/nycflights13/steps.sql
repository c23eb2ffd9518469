-- The history of the flights after the load. A step starts at its marker and is run statement by
-- statement; after each one every view is compared with the same query over the same rows.

-- step: a day is deleted
BEGIN;
INSERT INTO flights_aside SELECT * FROM flights WHERE year = 2013 AND month = 2 AND day = 8;
DELETE FROM flights WHERE year = 2013 AND month = 2 AND day = 8;
COMMIT;

-- step: a carrier is renamed
BEGIN;
UPDATE airlines SET carrier = 'VA', name = 'Virgin of America' WHERE carrier = 'VX';
UPDATE flights SET carrier = 'VA' WHERE carrier = 'VX';
UPDATE airlines SET name = 'American Eagle' WHERE carrier = 'MQ';
COMMIT;

-- step: a month's delays are updated
UPDATE flights SET dep_delay = dep_delay + 7, arr_delay = arr_delay + 7 WHERE month = 6 AND dep_delay > 0;

-- step: the day is inserted again
BEGIN;
INSERT INTO flights
SELECT
    year, month, day, dep_time, sched_dep_time, dep_delay, arr_time, sched_arr_time, arr_delay,
    CASE carrier WHEN 'VX' THEN 'VA' ELSE carrier END,
    flight, tailnum, origin, dest, air_time, distance, hour, minute, time_hour
FROM flights_aside;
DELETE FROM flights_aside;
COMMIT;

-- step: a plane becomes known and another is forgotten
INSERT INTO planes (tailnum, year, type, manufacturer, model, engines, seats, speed, engine)
VALUES ('N725MQ', 1999, 'Fixed wing multi engine', 'EMBRAER', 'EMB-145', 2, 55, NULL, 'Turbo-fan');
DELETE FROM planes WHERE tailnum = 'N328AA';

-- step: an hour's weather is corrected
UPDATE weather SET visib = 10, wind_speed = 3.45234 WHERE month = 3 AND day = 8 AND visib < 3;

-- step: a carrier leaves a route
DELETE FROM flights WHERE carrier = 'UA' AND origin = 'EWR' AND dest = 'SEA';
