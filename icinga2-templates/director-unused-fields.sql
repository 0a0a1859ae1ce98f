-- Removes the data fields of this suite that no template or command has any more, from the database
-- of the Director: a new version of the basket brings a new field where a description has changed,
-- and leaves the old one behind. What is set on hosts and services stays.
DELETE FROM director_datafield
WHERE varname LIKE 'anycast%'
    AND id NOT IN (SELECT datafield_id FROM icinga_command_field)
    AND id NOT IN (SELECT datafield_id FROM icinga_host_field)
    AND id NOT IN (SELECT datafield_id FROM icinga_notification_field)
    AND id NOT IN (SELECT datafield_id FROM icinga_service_field)
    AND id NOT IN (SELECT datafield_id FROM icinga_user_field);
